"""From a measured quantity to the amount of a line: a pure function, in stages.

`lines.py` has what goes in, what is in progress and what comes out; `stages.py` the stages, one function each;
`pipeline.py` their order; `results.py` what is done with outcomes afterwards: adding, negating, taking differences.
"""

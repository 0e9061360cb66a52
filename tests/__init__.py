"""A package, not a folder: a library that the tests use installs a package of this name, and would hide the folder."""

"""How often Python looks for cycles of objects that nobody holds but themselves."""

from __future__ import annotations

import gc


def collect_less_often() -> None:
    """For the rest of the process: ingestion and closing make many objects that refer to none of their own kind, and
    looking for cycles among them as often as Python does by itself takes up to a third of their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)

"""Which cell of a matrix prices use with these dimensions?

With the cells {"model": "large"} and {"model": "large", "cached": "true"}, use of the large model from the cache has
the second one's price, for it names more; of the small model none has one.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from app.domain.charge_models.models import Matrix, MatrixCell


def dimensions_of(model: Matrix) -> tuple[str, ...]:
    """The dimensions that any cell names, in order."""
    return tuple(sorted({name for cell in model.cells for name, _ in cell.when}))


def cell_finder(model: Matrix) -> Callable[[str], int]:
    """Finds the number, from 1, of the cell that prices use with these dimensions (canonical JSON); 0 where none does.

    Of the cells that fit, the one that names most dimensions; of several such, the first one stated.
    """
    by_names: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for number, cell in enumerate(model.cells, start=1):
        names, values = tuple(name for name, _ in cell.when), tuple(value for _, value in cell.when)
        by_names.setdefault(names, {}).setdefault(values, number)
    known: dict[str, int] = {}

    def find(dimensions: str) -> int:
        number = known.get(dimensions)
        if number is None:
            values = json.loads(dimensions)
            fitting = [
                (-len(names), cells[wanted])
                for names, cells in by_names.items()
                if (wanted := tuple(values.get(name) for name in names)) in cells
            ]
            number = known[dimensions] = min(fitting)[1] if fitting else 0
        return number

    return find


def label_of(cell: MatrixCell) -> str:
    """The cell by its dimensions: "cached true, model large"."""
    return ", ".join(f"{name} {value}" for name, value in cell.when)

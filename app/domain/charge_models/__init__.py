"""Which components does a price make of what was measured?

Graduated tiers of 1,000 units at 0.01 and the rest at 0.005 make, of 1,500 units, 1,000 x 0.01 = 10.00 and
500 x 0.005 = 2.50. Every component is quantity x unit price, rounded half up to the currency there and then.

`models.py` has the models, `usage.py` what each needs to be measured, `pricing.py` the components that each makes of
it, `rules.py` what its numbers must be; `percentage.py`, `matrix.py` and `time_of_use.py` are the rules of those
models, `components.py` the pieces of a line.

The models are a closed union. A new one is a dataclass, a member of `ChargeModel`, and a case in each of these modules
and in `app/domain/kept_models.py`; the type checker names the place that is still missing.
"""

from app.domain.charge_models.components import Component, keep_component, prorate, read_component
from app.domain.charge_models.models import (
    Capacity,
    ChargeModel,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixCell,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Reservation,
    Tier,
    TimeOfUse,
    TimeRate,
    Volume,
)
from app.domain.charge_models.pricing import charge
from app.domain.charge_models.rules import model_problems
from app.domain.charge_models.usage import (
    SINGLE_AMOUNTS,
    AmountsNeeded,
    CellsNeeded,
    MeasuredUsage,
    Need,
    Part,
    SlotsNeeded,
    TotalNeeded,
    meter_problems,
    need_of,
    parts_of,
    take_off,
)

__all__ = [
    "SINGLE_AMOUNTS",
    "AmountsNeeded",
    "Capacity",
    "CellsNeeded",
    "ChargeModel",
    "Component",
    "Dynamic",
    "Flat",
    "Graduated",
    "GraduatedPercentage",
    "Matrix",
    "MatrixCell",
    "MeasuredUsage",
    "Need",
    "Package",
    "Part",
    "PerUnit",
    "Percentage",
    "PercentageTier",
    "Reservation",
    "SlotsNeeded",
    "Tier",
    "TimeOfUse",
    "TimeRate",
    "TotalNeeded",
    "Volume",
    "charge",
    "keep_component",
    "meter_problems",
    "model_problems",
    "need_of",
    "parts_of",
    "prorate",
    "read_component",
    "take_off",
]

"""Make or change a meter. What it measures is a revision: a change is built beside the old one, then replaces it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.catalog import MeterEntry, measures_the_same
from app.domain.charge_models import meter_problems
from app.domain.errors import Conflict
from app.domain.meters import Meter
from app.operations.catalog_change import Saved, check_precondition, queue_releases, write_catalog
from app.operations.show_catalog import show_meter
from app.storage import catalog_store, job_store
from app.storage.catalog_snapshot import lock_for_change, raise_version
from app.storage.database import Database


def put_meter(database: Database, wish: MeterEntry, *, now: datetime, if_match: str | None = None) -> Saved:
    """Raises PreconditionFailed, or Conflict where a plan in force could be billed no more: then nothing has changed.
    The new revision answers reads once its job is done."""
    return write_catalog(database, lambda connection: save_meter(connection, wish, now=now, if_match=if_match))


def save_meter(connection: Connection, wish: MeterEntry, *, now: datetime, if_match: str | None = None) -> Saved:
    lock_for_change(connection)
    before = catalog_store.find_meter(connection, wish.meter.key)
    shown = show_meter(connection, wish.meter.key)
    check_precondition(if_match, shown)

    catalog_store.save_meter(connection, wish, is_new=before is None)
    measures_anew = before is None or not measures_the_same(before.meter, wish.meter)
    if measures_anew:
        _check_plans(connection, wish.meter, now)
        version = raise_version(connection)
        meter_id = catalog_store.add_revision(connection, wish.meter, since_version=version)
        job_store.enqueue(connection, "catch_up_meter", {"meter_id": meter_id.hex}, now)
        # What no meter named, or what the old revision could not measure, the new one perhaps can.
        types = sorted({wish.meter.event_type} | ({before.meter.event_type} if before else set()))
        reasons = ("unknown_type", "unmeasurable")
        queue_releases(connection, [{"reason": reason, "type": item} for item in types for reason in reasons], now)
    after = show_meter(connection, wish.meter.key)
    assert after is not None
    return Saved(shown, after, measures_anew)


def _check_plans(connection: Connection, meter: Meter, now: datetime) -> None:
    """Raises Conflict where a version in force now or later needs of the meter what it would not measure."""
    for plan in catalog_store.all_plans(connection):
        for version in plan.in_force_since(now):
            for charge in version.terms.charges:
                for problem in meter_problems(charge.model, meter) if charge.meter == meter.key else ():
                    raise Conflict(
                        f"Charge {charge.key!r} of plan {plan.key!r} (version {version.version}) prices this meter, "
                        f"and {problem.detail}. Publish a version that does without, or make another meter.",
                        plan=plan.key, version=version.version, charge=charge.key,
                    )  # fmt: skip

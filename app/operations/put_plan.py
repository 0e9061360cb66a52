"""Write the draft of a plan's next version. Nobody is billed by a draft until it is published."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.charge_models import meter_problems
from app.domain.errors import Conflict, FieldProblem, InvalidInput
from app.domain.plans import Plan, PlanTerms, schedule_of
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.storage import catalog_store, meter_store
from app.storage.database import Database
from app.wire.plans import PlanWish, plan_to_wire


def put_plan(database: Database, wish: PlanWish, *, if_match: str | None = None) -> Saved:
    """Raises InvalidInput, Conflict or PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_plan(connection, wish, if_match=if_match))


def save_plan(connection: Connection, wish: PlanWish, *, if_match: str | None = None) -> Saved:
    catalog_store.lock_plan(connection, wish.key)
    before = catalog_store.find_plan(connection, wish.key)
    shown = None if before is None else plan_to_wire(before)
    check_precondition(if_match, shown)
    check_references(connection, wish.terms)
    latest = before.latest if before else None
    if latest is not None and schedule_of(latest.terms) != schedule_of(wish.terms):
        raise Conflict(
            f"Plan {wish.key!r} is published: its currency, interval and anchor are fixed. Make another plan.",
            plan=wish.key,
        )
    # The same terms as the latest version's are no draft; they may take an earlier draft back.
    draft = None if latest is not None and latest.terms == wish.terms else wish.terms
    if before is not None and (before.name, before.draft) == (wish.name, draft):
        assert shown is not None
        return Saved(shown, shown)

    catalog_store.save_plan(connection, wish.key, name=wish.name, draft=draft, is_new=before is None)
    after = Plan(wish.key, wish.name, draft, before.versions if before else ())
    return Saved(shown, plan_to_wire(after))


def check_references(connection: Connection, terms: PlanTerms) -> None:
    """Raises InvalidInput where a charge names a meter or a tax rate that is not there, or a meter that does not
    measure what its model needs."""
    meters = {meter.key: meter for meter in meter_store.load(connection)}
    rates = catalog_store.tax_rates(connection)
    problems: list[FieldProblem] = []
    for index, charge in enumerate(terms.charges):
        if charge.meter is not None and charge.meter not in meters:
            problems.append(FieldProblem(f"#/charges/{index}/meter", f"there is no meter {charge.meter!r}"))
        elif charge.meter is not None:
            problems += [
                FieldProblem(f"#/charges/{index}/model{item.pointer}", item.detail)
                for item in meter_problems(charge.model, meters[charge.meter])
            ]
        if charge.tax is not None and charge.tax not in rates:
            problems.append(FieldProblem(f"#/charges/{index}/tax", f"there is no tax rate {charge.tax!r}"))
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))

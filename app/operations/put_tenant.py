"""Make or change a tenant, and say whose use its subjects are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.errors import Conflict, InvalidInput, SubjectTaken
from app.domain.events import instant_text
from app.domain.ids import NOBODY, new_id
from app.domain.tenants import History, SubjectWish, Tenant, claimed, given_up, taken_away
from app.domain.terms import terms_problem
from app.operations.catalog_change import Saved, check_precondition, queue_releases, write_catalog
from app.operations.show_catalog import show_tenant
from app.storage import catalog_store, invoice_store, subscription_store, tenant_store
from app.storage.catalog_snapshot import lock_for_change, raise_version
from app.storage.database import Database
from app.wire.tenants import TenantWish


def put_tenant(database: Database, wish: TenantWish, *, now: datetime, if_match: str | None = None) -> Saved:
    """Raises InvalidInput, SubjectTaken, Conflict or PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_tenant(connection, wish, now=now, if_match=if_match))


def save_tenant(connection: Connection, wish: TenantWish, *, now: datetime, if_match: str | None = None) -> Saved:
    lock_for_change(connection)
    before, shown = tenant_store.lock(connection, wish.key), show_tenant(connection, wish.key)
    check_precondition(if_match, shown)
    _check_operator(connection, wish)
    _check_tax(connection, wish)
    _check_terms(connection, wish)
    _check_others(connection, wish)
    _check_logo(connection, wish)
    if before is not None and before.currency != wish.currency:
        _check_currency_free(connection, before)
    tenant = Tenant(
        before.tenant_id if before else new_id(), wish.key, wish.name, wish.currency, wish.time_zone, wish.language,
        wish.operator, wish.default_tax, wish.legal, wish.buying, wish.vat_check, wish.drafts, wish.numbering,
    )  # fmt: skip
    moved = _moved_subjects(connection, wish, tenant, now=now)

    if wish.logo is not None:
        tenant_store.keep_logo(connection, wish.logo)
    if tenant != before:
        tenant_store.save(connection, tenant)
    if before is not None and before.collects != tenant.collects:
        # The next run makes them anew, each on the document that it is on now.
        invoice_store.delete_drafts(connection, tenant.tenant_id)
    for subject, history in moved.items():
        tenant_store.replace_history(connection, subject, history)
    left_jobs = False
    if moved:
        raise_version(connection)
        claims = [{"reason": "unknown_tenant", "subject": subject} for subject in moved]
        left_jobs = queue_releases(connection, claims, now)
    after = show_tenant(connection, wish.key)
    assert after is not None
    return Saved(shown, after, left_jobs)


def _check_operator(connection: Connection, wish: TenantWish) -> None:
    operator = tenant_store.operator(connection)
    if wish.operator and operator is not None and operator.key != wish.key:
        raise Conflict(f"There is one operator, and it is {operator.key!r}.", operator=operator.key)


def _check_tax(connection: Connection, wish: TenantWish) -> None:
    if wish.default_tax and catalog_store.find_tax_rate(connection, wish.default_tax) is None:
        raise InvalidInput.at("#/tax", f"There is no tax rate {wish.default_tax!r}.")


def _check_others(connection: Connection, wish: TenantWish) -> None:
    """Who pays pays in its own name, in one currency; nobody belongs to itself, by whatever detour."""
    buying = wish.buying
    if buying.bill_to:
        payer = _other(connection, "bill_to", buying.bill_to)
        if payer.currency != wish.currency:
            raise InvalidInput.at("#/bill_to", f"is in {payer.currency}, the tenant in {wish.currency}")
        if payer.buying.bill_to:
            raise InvalidInput.at("#/bill_to", f"is billed to {payer.buying.bill_to!r} itself")
    for served in tenant_store.billed_to(connection, wish.key):
        if buying.bill_to:
            raise InvalidInput.at("#/bill_to", f"the tenant pays for {served.key!r}: it is billed itself")
        if served.currency != wish.currency:
            raise InvalidInput.at("#/currency", f"the tenant pays for {served.key!r}, in {served.currency}")
    above = buying.parent
    while above:
        if above == wish.key:
            raise InvalidInput.at("#/parent", "the tenant would belong to itself")
        above = _other(connection, "parent", above).buying.parent


def _other(connection: Connection, name: str, key: str) -> Tenant:
    found = tenant_store.find(connection, key)
    if found is None:
        raise InvalidInput.at(f"#/{name}", f"There is no tenant {key!r}.")
    return found


def _check_logo(connection: Connection, wish: TenantWish) -> None:
    name = None if wish.legal is None else wish.legal.logo
    if name is None or wish.logo is not None:
        return
    kept = tenant_store.find_logo(connection, name)
    if kept is None or kept.name != name:
        raise InvalidInput.at("#/legal/logo/digest", "no picture of this type is kept under this digest: send its data")


def _check_terms(connection: Connection, wish: TenantWish) -> None:
    """What a tenant sells is due by the law of its country, what it buys by that of the operator's."""
    if wish.legal is None or wish.legal.payment_terms is None:
        return
    seller = None if wish.operator else tenant_store.operator(connection)
    country = wish.legal.country if seller is None or seller.legal is None else seller.legal.country
    detail = terms_problem(wish.legal.payment_terms, country=country)
    if detail is not None:
        raise InvalidInput.at("#/legal/payment_terms/days", f"{detail}.")


def _check_currency_free(connection: Connection, tenant: Tenant) -> None:
    if subscription_store.list_subscriptions(connection, after=None, limit=1, tenant_id=tenant.tenant_id):
        raise Conflict(
            f"The currency of {tenant.key!r} is {tenant.currency}: it is fixed from the first subscription on.",
            currency=tenant.currency,
        )


def _moved_subjects(connection: Connection, wish: TenantWish, tenant: Tenant, *, now: datetime) -> dict[str, History]:
    """The new history of each subject whose history changes, the tenant's own key among them."""
    mine = {claim.subject for claim in tenant_store.claims_of(connection, [tenant.tenant_id])[tenant.tenant_id]}
    wishes = {item.subject: item for item in (*wish.subjects, SubjectWish(wish.key))}
    histories = tenant_store.histories(connection, wishes.keys() | mine)
    _check_keys(connection, wish, tenant, histories[wish.key])
    moved: dict[str, History] = {}
    for subject, history in sorted(histories.items()):
        if subject in wishes:
            changed = claimed(history, wishes[subject], tenant.tenant_id, now=now)
        else:
            changed = given_up(history, now=now)
        if changed != history:
            _check_unused(connection, subject, history, changed)
            moved[subject] = changed
    return moved


def _check_keys(connection: Connection, wish: TenantWish, tenant: Tenant, own: History) -> None:
    """A key is its tenant's subject, always: it can be no other tenant's."""
    if own and own[-1].tenant_id not in (NOBODY, tenant.tenant_id):
        owner = tenant_store.find_by_id(connection, own[-1].tenant_id)
        raise SubjectTaken(
            f"The key {wish.key!r} is a subject of tenant {owner.key if owner else '?'!r}.", subject=wish.key
        )
    for subject in tenant_store.known_keys(connection, [item.subject for item in wish.subjects]):
        raise SubjectTaken(f"The subject {subject!r} is the key of another tenant.", subject=subject)


def _check_unused(connection: Connection, subject: str, before: History, after: History) -> None:
    for owner_id, start, end in taken_away(before, after):
        if tenant_store.used_in(connection, owner_id, subject, start, end):
            owner = tenant_store.find_by_id(connection, owner_id)
            name = owner.key if owner else "?"
            raise SubjectTaken(
                f"Tenant {name!r} has kept events of the subject {subject!r} at or after {instant_text(start)}: "
                "a move may not re-assign them. Choose a later `from`.",
                subject=subject, tenant=name,
            )  # fmt: skip

"""The chart of accounts: the shape of the HTTP contract <-> domain values.

    PUT /v1/chart-of-accounts    {"receivable": "411000", "sales": "706000", "vat": {"20": "445711"},
                                  "overrides": [{"charge": "energy", "sales": "707100"},
                                                {"tenant": "acme", "receivable": "411ACM", "auxiliary": "C0042"}]}

What is left out has its default; the answer shows all of it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from app.domain.accounting import (
    JOURNALS,
    ROLES,
    AccountOverride,
    ChartOfAccounts,
    Journal,
    JournalName,
    Role,
    chart_of,
)
from app.domain.money import plain
from app.domain.tax import CATEGORIES, SUPPLIES, Supply
from app.wire.parsing import Fields, escaped

MAX_OVERRIDES = 1000
MAX_RATES = 100
MAX_NAMES = 2000
ACCOUNT = r"[1-9][0-9A-Z]{2,19}"
AUXILIARY = r"[0-9A-Za-z][0-9A-Za-z._-]{0,49}"
JOURNAL_CODE = r"[0-9A-Z]{1,10}"
RATE = r"(0|[1-9][0-9]?|100)(\.[0-9]{1,4})?"
CONDITIONS = ("tenant", "plan", "charge", "tax_category", "tax_rate")
_ACCOUNT_RULE = "must be an account: 3 to 20 digits and capital letters, a digit first"


def chart_from_wire(body: Any) -> ChartOfAccounts:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    accounts = _accounts(fields)
    supplies = _supplies(fields.object("supplies"))
    vat = fields.texts("vat")
    for rate, account in vat.items():
        _check(fields, f"vat/{escaped(rate)}", rate, RATE, "must be a rate in percent, such as 5.5")
        _check(fields, f"vat/{escaped(rate)}", account, ACCOUNT, _ACCOUNT_RULE)
    names = fields.texts("names")
    for account in names:
        _check(fields, f"names/{escaped(account)}", account, ACCOUNT, _ACCOUNT_RULE)
    for name, found, most in (("vat", vat, MAX_RATES), ("names", names, MAX_NAMES)):
        if len(found) > most:
            fields.problem(name, f"at most {most} entries")
    journals = _journals(fields.object("journals"))
    overrides = tuple(_override(item) for item in fields.objects("overrides"))
    if len(overrides) > MAX_OVERRIDES:
        fields.problem("overrides", f"at most {MAX_OVERRIDES} overrides")
    fields.finish()
    return chart_of(
        accounts=accounts, supplies=supplies, vat={plain(Decimal(rate)): account for rate, account in vat.items()},
        names=names, journals=journals, overrides=overrides,
    )  # fmt: skip


def _check(fields: Fields, place: str, text: str, pattern: str, rule: str) -> None:
    if not re.fullmatch(pattern, text):
        fields.problem(place, rule)


def _supplies(fields: Fields | None) -> dict[Supply, str]:
    found: dict[Supply, str] = {}
    for supply in SUPPLIES:
        account = "" if fields is None else fields.text(supply, default="")
        if account and fields is not None:
            found[supply] = account
            _check(fields, supply, account, ACCOUNT, _ACCOUNT_RULE)
    return found


def _journals(fields: Fields | None) -> dict[Journal, JournalName]:
    found: dict[Journal, JournalName] = {}
    for journal in JOURNALS:
        named = None if fields is None else fields.object(journal)
        if named is not None:
            found[journal] = JournalName(named.text("code"), named.text("name"))
            _check(named, "code", found[journal].code, JOURNAL_CODE, "must be 1 to 10 capital letters and digits")
    return found


def chart_to_wire(chart: ChartOfAccounts) -> dict[str, Any]:
    accounts: dict[str, Any] = dict(chart.accounts.items())
    return accounts | {
        "supplies": dict(chart.supplies),
        "vat": dict(chart.vat),
        "names": dict(chart.names),
        "journals": {name: {"code": one.code, "name": one.name} for name, one in chart.journals.items()},
        "overrides": [_override_to_wire(one) for one in chart.overrides],
    }


def _override(fields: Fields) -> AccountOverride:
    accounts = _accounts(fields)
    auxiliary = fields.text("auxiliary", default="")
    if auxiliary:
        _check(fields, "auxiliary", auxiliary, AUXILIARY, "must be 1 to 50 letters, digits, dots, dashes, underscores")
    made = AccountOverride(
        accounts, fields.optional_key("tenant") or "", fields.optional_key("plan") or "",
        fields.optional_key("charge") or "", fields.optional_choice("tax_category", CATEGORIES) or "",
        fields.optional_decimal("tax_rate"), auxiliary,
    )  # fmt: skip
    if made.tax_rate is not None and not (
        0 <= made.tax_rate < 1000 and plain(made.tax_rate) == plain(round(made.tax_rate, 4))
    ):
        fields.problem("tax_rate", "must be a rate in percent with at most 4 decimals")
    if fields.faultless and not made.conditions:
        fields.problem("", f"an override has a condition: {', '.join(CONDITIONS)}")
    if fields.faultless and not accounts and not auxiliary:
        fields.problem("", "an override names an account")
    return made


def _override_to_wire(one: AccountOverride) -> dict[str, Any]:
    texts = {name: getattr(one, name) for name in ("tenant", "plan", "charge", "tax_category", "auxiliary")}
    rate = {} if one.tax_rate is None else {"tax_rate": plain(one.tax_rate)}
    return {name: text for name, text in texts.items() if text} | rate | dict(one.accounts)


def _accounts(fields: Fields) -> dict[Role, str]:
    found: dict[Role, str] = {}
    for role in ROLES:
        account = fields.text(role, default="")
        if account:
            found[role] = account
            _check(fields, role, account, ACCOUNT, _ACCOUNT_RULE)
    return found

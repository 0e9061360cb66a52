"""Which account does an amount stand on in the books of the seller?

The chart of accounts is data: an account for each role, one for each kind of supply and each rate of VAT, and overrides
by plan, charge, VAT and buyer. Of the overrides that fit and name the role, the one with most conditions holds; of
several such, the first. Without anything set it is the French general chart (PCG): 411000 for a buyer, 706000 for
services, 707000 for goods, 445711 for VAT of 20 %, 445740 for VAT that is owed once it is paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from app.domain.money import plain
from app.domain.tax import Supply, TaxRate

Role = Literal[
    "receivable", "bank", "advances", "sales", "discounts", "vat_collected", "vat_awaiting_payment", "accrued",
    "deferred", "rounding",
]  # fmt: skip
ROLES: tuple[Role, ...] = (
    "receivable", "bank", "advances", "sales", "discounts", "vat_collected", "vat_awaiting_payment", "accrued",
    "deferred", "rounding",
)  # fmt: skip
Journal = Literal["sales", "bank", "miscellaneous"]
JOURNALS: tuple[Journal, ...] = ("sales", "bank", "miscellaneous")


@dataclass(frozen=True, slots=True)
class Context:
    """What an amount is about; '' and None where that says nothing."""

    tenant: str = ""
    plan: str = ""
    charge: str = ""
    supply: Supply | Literal[""] = ""
    tax: TaxRate | None = None


NOTHING = Context()


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """Accounts that hold where all conditions do; '' and None are no condition. `auxiliary` is the number that a buyer
    has in the books."""

    accounts: Mapping[Role, str]
    tenant: str = ""
    plan: str = ""
    charge: str = ""
    tax_category: str = ""
    tax_rate: Decimal | None = None
    auxiliary: str = ""

    @property
    def conditions(self) -> int:
        texts = (self.tenant, self.plan, self.charge, self.tax_category)
        return sum(map(bool, texts)) + (self.tax_rate is not None)

    def fits(self, about: Context) -> bool:
        pairs = ((self.tenant, about.tenant), (self.plan, about.plan), (self.charge, about.charge))
        if any(wanted and wanted != is_ for wanted, is_ in pairs):
            return False
        if self.tax_category and (about.tax is None or about.tax.category != self.tax_category):
            return False
        return self.tax_rate is None or (about.tax is not None and about.tax.rate == self.tax_rate)


@dataclass(frozen=True, slots=True)
class JournalName:
    code: str
    name: str


_ACCOUNTS: dict[Role, str] = {
    "receivable": "411000", "bank": "512000", "advances": "419100", "sales": "706000", "discounts": "709000",
    "vat_collected": "445710", "vat_awaiting_payment": "445740", "accrued": "418100",
    "deferred": "487000", "rounding": "758000",
}  # fmt: skip
_SUPPLIES: dict[Supply, str] = {
    "service": "706000", "goods": "707000", "electricity": "707000", "immovable": "706000",
    "hire_of_transport": "706000",
}  # fmt: skip
_VAT = {"20": "445711", "10": "445712", "5.5": "445713", "2.1": "445714"}
_NAMES = {
    "411000": "Clients", "512000": "Banque", "419100": "Clients - avances et acomptes reçus",
    "706000": "Prestations de services", "707000": "Ventes de marchandises",
    "709000": "Rabais, remises et ristournes accordés", "445710": "TVA collectée", "445711": "TVA collectée 20 %",
    "445712": "TVA collectée 10 %", "445713": "TVA collectée 5,5 %", "445714": "TVA collectée 2,1 %",
    "445740": "TVA en attente d'encaissement", "418100": "Clients - factures à établir",
    "487000": "Produits constatés d'avance", "758000": "Produits divers de gestion courante",
}  # fmt: skip
_JOURNALS: dict[Journal, JournalName] = {
    "sales": JournalName("VE", "Ventes"), "bank": JournalName("BQ", "Banque"),
    "miscellaneous": JournalName("OD", "Opérations diverses"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChartOfAccounts:
    """`accounts` by role; `supplies` are the sales accounts by what is sold; `vat` the accounts of VAT by its rate in
    percent; `names` what an account is called."""

    accounts: Mapping[Role, str] = field(default_factory=lambda: dict(_ACCOUNTS))
    supplies: Mapping[Supply, str] = field(default_factory=lambda: dict(_SUPPLIES))
    vat: Mapping[str, str] = field(default_factory=lambda: dict(_VAT))
    names: Mapping[str, str] = field(default_factory=lambda: dict(_NAMES))
    journals: Mapping[Journal, JournalName] = field(default_factory=lambda: dict(_JOURNALS))
    overrides: tuple[AccountOverride, ...] = ()

    def account(self, role: Role, about: Context = NOTHING) -> str:
        """The account of the role."""
        override = self._override(role, about)
        if override is not None:
            return override.accounts[role]
        if role == "sales" and about.supply:
            return self.supplies.get(about.supply, self.accounts[role])
        if role == "vat_collected" and about.tax is not None:
            return self.vat.get(plain(about.tax.rate), self.accounts[role])
        return self.accounts[role]

    def auxiliary(self, tenant: str) -> str:
        """The buyer's number in the books: its key, unless the chart says another."""
        named = (one for one in self.overrides if one.auxiliary and one.fits(Context(tenant=tenant)))
        best = max(named, key=lambda one: one.conditions, default=None)
        return tenant if best is None else best.auxiliary

    def name(self, account: str) -> str:
        """What the account is called; an account of the chart's own by the longest beginning that has a name."""
        for length in range(len(account), 2, -1):
            named = self.names.get(account[:length]) or self.names.get(account[:length].ljust(6, "0"))
            if named:
                return named
        return account

    def _override(self, role: Role, about: Context) -> AccountOverride | None:
        fitting = (one for one in self.overrides if role in one.accounts and one.fits(about))
        return max(fitting, key=lambda one: one.conditions, default=None)


def chart_of(
    *, accounts: Mapping[Role, str], supplies: Mapping[Supply, str], vat: Mapping[str, str], names: Mapping[str, str],
    journals: Mapping[Journal, JournalName], overrides: tuple[AccountOverride, ...],
) -> ChartOfAccounts:  # fmt: skip
    """The chart with the defaults where nothing is said. Another account for `sales` is that of every supply that has
    no account of its own."""
    sales = dict.fromkeys(_SUPPLIES, accounts["sales"]) if "sales" in accounts else dict(_SUPPLIES)
    vat_default = {} if "vat_collected" in accounts else dict(_VAT)
    return ChartOfAccounts(
        _ACCOUNTS | dict(accounts), sales | dict(supplies), vat_default | dict(vat), _NAMES | dict(names),
        _JOURNALS | dict(journals), overrides,
    )  # fmt: skip


DEFAULT_CHART = ChartOfAccounts()

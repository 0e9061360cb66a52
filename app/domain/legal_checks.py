"""What does a tenant's legal profile lack, for which kind of document, and what in it is surely wrong?

A plain document goes out whatever is missing. A French invoice must state more, and an e-invoice is refused by the
platforms without an electronic address. A registration number such as 552100555 has a wrong check digit: it is kept as
it was given, and named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import stdnum.eu.vat
import stdnum.fr.siren
import stdnum.fr.siret

from app.domain.parties import EU_COUNTRIES, Legal
from app.domain.tenants import Tenant

DocumentKind = Literal["invoice", "french_invoice", "e_invoice"]
DOCUMENT_KINDS: tuple[DocumentKind, ...] = ("invoice", "french_invoice", "e_invoice")

FRENCH_SCHEMES = {"0002": "SIREN", "0009": "SIRET", "0225": "SIREN"}
"""Schemes of electronic addresses that begin with a French number."""

WITHOUT_REGISTER = ("EI", "EIRL", "MICRO", "ASSOCIATION")
"""Legal forms that have no share capital and need not be in a commercial register."""

_NOTHING = Legal("")


@dataclass(frozen=True, slots=True)
class Fault:
    """A field by its path, as "legal.vat_number", and what is wrong with it."""

    field: str
    detail: str


def missing_fields(tenant: Tenant) -> dict[DocumentKind, tuple[str, ...]]:
    """The fields, by path, that each kind of document needs and the tenant does not have, as the seller if it is the
    operator, else as a buyer. A kind that a seller of another country cannot send is left out."""
    legal = tenant.legal or _NOTHING
    needed = _of_seller if tenant.operator else _of_buyer
    kinds = [
        kind for kind in DOCUMENT_KINDS
        if kind != "french_invoice" or not tenant.operator or legal.country in ("", "FR")
    ]  # fmt: skip
    return {kind: tuple(f"legal.{name}" for name in needed(kind, legal)) for kind in kinds}


def _of_seller(kind: DocumentKind, legal: Legal) -> Iterator[str]:
    if legal.address is None:
        yield "address"
    yield from _numbers_of_seller(legal)
    if kind == "invoice":
        return
    french = kind == "french_invoice" or legal.country == "FR"
    if french:
        yield from (name for name in ("vat_regime", "penalty_terms", "discount_terms", "recovery_terms")
                    if not getattr(legal, name))  # fmt: skip
    if kind == "french_invoice":
        if not legal.legal_form:
            yield "legal_form"
        if legal.legal_form.upper() not in WITHOUT_REGISTER:
            yield from (name for name in ("share_capital", "register", "register_town") if not getattr(legal, name))
    if kind == "e_invoice" and legal.electronic_address is None:
        yield "electronic_address"


def _numbers_of_seller(legal: Legal) -> Iterator[str]:
    if not legal.registration:
        yield "registration"
    if not legal.vat_number and legal.vat_regime not in ("franchise", "none"):
        yield "vat_number"


def _of_buyer(kind: DocumentKind, legal: Legal) -> Iterator[str]:
    if legal.address is None:
        yield "address"
    if kind == "invoice":
        return
    if legal.country in ("", "FR") and not legal.registration:
        yield "registration"
    if legal.country in EU_COUNTRIES - {"FR"} and not legal.vat_number:
        yield "vat_number"
    if kind == "e_invoice" and legal.electronic_address is None:
        yield "electronic_address"


# --- what is surely wrong ---------------------------------------------------------------------------------------------


def invalid_fields(legal: Legal | None) -> tuple[Fault, ...]:
    """What an e-invoice would be refused for: numbers whose form or check digit is wrong."""
    return () if legal is None else tuple(_faults(legal))


def _faults(legal: Legal) -> Iterator[Fault]:
    siren = _digits(legal.registration)
    if legal.country == "FR":
        if legal.registration and not stdnum.fr.siren.is_valid(siren):
            yield Fault("legal.registration", "is no SIREN: nine digits, of which the last is a check digit")
        if legal.siret and not stdnum.fr.siret.is_valid(_digits(legal.siret)):
            yield Fault("legal.siret", "is no SIRET: fourteen digits, of which the last is a check digit")
        elif legal.siret and siren and not _digits(legal.siret).startswith(siren):
            yield Fault("legal.siret", "does not begin with the SIREN in `registration`")
    if legal.vat_number and _is_of_eu(legal) and not vat_number_is_valid(legal.vat_number):
        yield Fault("legal.vat_number", "is no VAT number of the European Union: its form or check digit is wrong")
    address = legal.electronic_address
    if address is not None and address.scheme in FRENCH_SCHEMES and not address.id.startswith(siren or address.id):
        yield Fault("legal.electronic_address", f"does not begin with the SIREN, as scheme {address.scheme} asks")


def vat_number_is_valid(number: str) -> bool:
    """True where the number has the form, and the check digit, of a VAT number of a member state."""
    return bool(stdnum.eu.vat.is_valid(number))


def _is_of_eu(legal: Legal) -> bool:
    prefix = legal.vat_number[:2].upper()
    return legal.country in EU_COUNTRIES or (not legal.country and prefix in EU_COUNTRIES | {"EL"})


def _digits(number: str) -> str:
    return "".join(number.split())

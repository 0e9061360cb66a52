"""How does a document say it, in the reader's language?

Words come from two tables with the same keys, English and French; numbers and dates follow each language's habit.
1234.5 EUR reads `€1,234.50` in English and `1 234,50 €`, with narrow no-break spaces, in French. Amounts have the
decimals of their currency; quantities and unit prices show every digit they have.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from app.domain.charge_models import Component
from app.domain.charge_models.components import IN_PERCENT
from app.domain.drafts import WAIVED
from app.domain.invoices import Invoice, InvoiceLine, Reference
from app.domain.money import CURRENCY_DECIMALS, amount_text, plain
from app.domain.parties import Address, Party
from app.domain.periods import Period, local_date, start_of_day
from app.domain.tax import TaxGroup, TaxRate

Language = Literal["en", "fr"]

NARROW_SPACE = "\u202f"
NO_BREAK_SPACE = "\u00a0"
MINUS = "\u2212"
EN_DASH = "\u2013"

TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "invoice": "Invoice",
        "credit_note": "Credit note",
        "statement": "Statement",
        "draft": "DRAFT",
        "number": "Number",
        "issued": "Issue date",
        "due": "Due date",
        "billing_period": "Billing period",
        "time_zone": "Time zone",
        "currency": "Currency",
        "seller": "Seller",
        "buyer": "Bill to",
        "registration": "Registration no.",
        "siren": "SIREN",
        "vat_number": "VAT no.",
        "description": "Description",
        "quantity": "Quantity",
        "unit_price": "Unit price",
        "vat": "VAT",
        "amount": "Amount",
        "tax": "Tax",
        "rate": "Rate",
        "base": "Taxable amount",
        "vat_amount": "VAT amount",
        "lines_total": "Sum of the lines",
        "promotional_credit": "Promotional credit",
        "net": "Net amount",
        "tax_total": "Total VAT",
        "total": "Total",
        "amount_due": "Amount due",
        "amount_credited": "Amount credited",
        "amount_payable": "Amount payable to you",
        "due_by": "due by {date}",
        "continued": "continued",
        "no_lines": "Nothing to charge in this period.",
        "difference": "Correction of period {period}: use as measured now, less what was billed before",
        "correction": "Correction of period {period}",
        "of_period": "Period {period}",
        "credit_for": "Credit for invoice {number} of {date}",
        "concerns": "Concerns invoice {number} of {date}",
        "tier": "Tier {tier}",
        "tier_flat": "Tier {tier}, entry fee",
        "unit": "Price per unit",
        "package": "Packages",
        "flat": "Flat amount",
        "percentage": "Percentage",
        "percentage_tier": "Tier {tier}",
        "per_event": "Fee per event",
        "event_minimum": "Events at the minimum",
        "event_maximum": "Events at the maximum",
        "cell": "{label}",
        "time_rate": "Rate {tier}, {label}",
        "other": "Other use",
        "unpriced": "Not priced",
        "capacity": "Capacity, tier {tier}",
        "dynamic": "Amount passed on",
        "reserved": "Reserved",
        "reserved_share": "Reserved, share of the period",
        "overage": "Beyond the reserved",
        "maximum": "Reduction to the maximum",
        "minimum": "Supplement to the minimum",
        "plan_minimum": "Supplement to the minimum of the plan",
        "credited": "Credited",
        "waived": "Waived: {reason}",
        "true_up_minimum": "Minimum of the plan",
        "true_up_commitment": "Commitment",
        "plan_maximum": "Reduction to the maximum of the plan",
        "commitment_overage": "Surcharge beyond the commitment",
        "commitment": "Supplement to the commitment",
        "coupon": "Coupon {name}",
        "free": "Included, free of charge",
        "discount": "Discount",
        "trial": "Trial period",
        "discount_percent": "Discount {percent}",
        "category_S": "VAT",
        "category_Z": "VAT, zero rate",
        "category_E": "Exempt from VAT",
        "category_AE": "Reverse charge: VAT is due from the buyer",
        "category_K": "Exempt from VAT: supply within the European Union",
        "category_G": "Exempt from VAT: export outside the European Union",
        "category_O": "Outside the scope of VAT",
        "hash": "SHA-256",
        "credit_terms": "Nothing is to be paid on this credit note: it lowers what is owed.",
        "payable_by": "Payable by {date}.",
        "capital": "capital of {amount}",
        "siret": "SIRET",
        "purchase_order": "Purchase order",
        "buyer_reference": "Your reference",
        "contract_reference": "Contract",
        "project_reference": "Project",
        "cost_centre": "Cost centre",
        "delivery": "Delivered to",
        "subscription": "Subscription {name}",
        "of_no_subscription": "Other items",
        "subtotal": "Subtotal {name}",
        "payment": "Payment",
        "beneficiary": "Beneficiary",
        "reference": "Reference",
        "scan": "Scan with your bank’s app",
        "use_by_day": "{name}: use by day",
        "highest_day": "max. {quantity}",
        "mentions": "Terms",
        "nature_S": "Nature of the supplies: services.",
        "nature_B": "Nature of the supplies: goods.",
        "nature_M": "Nature of the supplies: goods and services.",
        "accounting_vat": "VAT in {currency}: {amount}, at {rate} for 1 {own} ({source}, {date}).",
    },
    "fr": {
        "invoice": "Facture",
        "credit_note": "Avoir",
        "statement": "Relevé",
        "draft": "BROUILLON",
        "number": "Numéro",
        "issued": "Date d’émission",
        "due": "Date d’échéance",
        "billing_period": "Période de facturation",
        "time_zone": "Fuseau horaire",
        "currency": "Devise",
        "seller": "Vendeur",
        "buyer": "Client",
        "registration": "N° d’immatriculation",
        "siren": "SIREN",
        "vat_number": "N° de TVA",
        "description": "Désignation",
        "quantity": "Quantité",
        "unit_price": "Prix unitaire HT",
        "vat": "TVA",
        "amount": "Montant HT",
        "tax": "Taxe",
        "rate": "Taux",
        "base": "Base HT",
        "vat_amount": "Montant de TVA",
        "lines_total": "Total des lignes",
        "promotional_credit": "Crédit promotionnel",
        "net": "Total HT",
        "tax_total": "Total TVA",
        "total": "Total TTC",
        "amount_due": "Net à payer",
        "amount_credited": "Net à votre crédit",
        "amount_payable": "Net en votre faveur",
        "due_by": "à régler au plus tard le {date}",
        "continued": "suite",
        "no_lines": "Rien à facturer pour cette période.",
        "difference": "Correction de la période {period} : consommation mesurée à ce jour, moins le déjà facturé",
        "correction": "Correction de la période {period}",
        "of_period": "Période {period}",
        "credit_for": "Avoir sur la facture {number} du {date}",
        "concerns": "Concerne la facture {number} du {date}",
        "tier": "Tranche {tier}",
        "tier_flat": "Tranche {tier}, forfait d’entrée",
        "unit": "Prix à l’unité",
        "package": "Lots",
        "flat": "Forfait",
        "percentage": "Pourcentage",
        "percentage_tier": "Tranche {tier}",
        "per_event": "Frais par opération",
        "event_minimum": "Opérations au minimum",
        "event_maximum": "Opérations au maximum",
        "cell": "{label}",
        "time_rate": "Tarif {tier}, {label}",
        "other": "Autre consommation",
        "unpriced": "Sans prix",
        "capacity": "Capacité, palier {tier}",
        "dynamic": "Montant refacturé",
        "reserved": "Réservé",
        "reserved_share": "Réservé, part de la période",
        "overage": "Au-delà du réservé",
        "maximum": "Plafonnement au maximum",
        "minimum": "Complément au minimum",
        "plan_minimum": "Complément au minimum de l’offre",
        "credited": "Porté en avoir",
        "waived": "Offert : {reason}",
        "true_up_minimum": "Minimum de l’offre",
        "true_up_commitment": "Engagement",
        "plan_maximum": "Plafonnement au maximum de l’offre",
        "commitment_overage": "Majoration au-delà de l’engagement",
        "commitment": "Complément à l’engagement",
        "coupon": "Bon de réduction {name}",
        "free": "Inclus, sans frais",
        "discount": "Remise",
        "trial": "Période d'essai",
        "discount_percent": "Remise de {percent}",
        "category_S": "TVA",
        "category_Z": "TVA à taux zéro",
        "category_E": "Exonéré de TVA",
        "category_AE": "Autoliquidation : TVA due par le preneur",
        "category_K": "Exonéré de TVA : livraison ou prestation intracommunautaire",
        "category_G": "Exonéré de TVA : exportation hors de l’Union européenne",
        "category_O": "Hors champ de la TVA",
        "hash": "SHA-256",
        "credit_terms": "Aucun paiement n’est dû au titre de cet avoir : il diminue ce qui est dû.",
        "payable_by": "À régler au plus tard le {date}.",
        "capital": "capital de {amount}",
        "siret": "SIRET",
        "purchase_order": "Bon de commande",
        "buyer_reference": "Votre référence",
        "contract_reference": "Contrat",
        "project_reference": "Projet",
        "cost_centre": "Centre de coûts",
        "delivery": "Livré à",
        "subscription": "Abonnement {name}",
        "of_no_subscription": "Autres prestations",
        "subtotal": "Sous-total {name}",
        "payment": "Règlement",
        "beneficiary": "Bénéficiaire",
        "reference": "Référence",
        "scan": "À scanner avec l’application de votre banque",
        "use_by_day": "{name} : consommation par jour",
        "highest_day": "max. {quantity}",
        "mentions": "Conditions",
        "nature_S": "Catégorie d’opérations : prestations de services.",
        "nature_B": "Catégorie d’opérations : livraisons de biens.",
        "nature_M": "Catégorie d’opérations : livraisons de biens et prestations de services.",
        "accounting_vat": "TVA en {currency} : {amount}, au cours de {rate} pour 1 {own} ({source}, {date}).",
    },
}

_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    "fr": (
        "janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ),
}  # fmt: skip

_WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}

# Every other currency is named by its code: a bare $ or kr would leave open which one is meant.
_SYMBOLS: dict[Language, dict[str, str]] = {
    "en": {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"},
    "fr": {"EUR": "€", "USD": "$US", "GBP": "£"},
}

# Names of the countries an address is likely to be in; any other is shown by its code (ISO 3166).
_COUNTRIES: dict[Language, dict[str, str]] = {
    "en": {
        "AT": "Austria", "AU": "Australia", "BE": "Belgium", "BG": "Bulgaria", "BR": "Brazil", "CA": "Canada",
        "CH": "Switzerland", "CN": "China", "CY": "Cyprus", "CZ": "Czechia", "DE": "Germany", "DK": "Denmark",
        "EE": "Estonia", "ES": "Spain", "FI": "Finland", "FR": "France", "GB": "United Kingdom", "GR": "Greece",
        "HR": "Croatia", "HU": "Hungary", "IE": "Ireland", "IN": "India", "IS": "Iceland", "IT": "Italy",
        "JP": "Japan", "LI": "Liechtenstein", "LT": "Lithuania", "LU": "Luxembourg", "LV": "Latvia", "MA": "Morocco",
        "MC": "Monaco", "MT": "Malta", "MX": "Mexico", "NL": "Netherlands", "NO": "Norway", "PL": "Poland",
        "PT": "Portugal", "RO": "Romania", "SE": "Sweden", "SI": "Slovenia", "SK": "Slovakia", "TN": "Tunisia",
        "US": "United States",
    },
    "fr": {
        "AT": "Autriche", "AU": "Australie", "BE": "Belgique", "BG": "Bulgarie", "BR": "Brésil", "CA": "Canada",
        "CH": "Suisse", "CN": "Chine", "CY": "Chypre", "CZ": "Tchéquie", "DE": "Allemagne", "DK": "Danemark",
        "EE": "Estonie", "ES": "Espagne", "FI": "Finlande", "FR": "France", "GB": "Royaume-Uni", "GR": "Grèce",
        "HR": "Croatie", "HU": "Hongrie", "IE": "Irlande", "IN": "Inde", "IS": "Islande", "IT": "Italie",
        "JP": "Japon", "LI": "Liechtenstein", "LT": "Lituanie", "LU": "Luxembourg", "LV": "Lettonie", "MA": "Maroc",
        "MC": "Monaco", "MT": "Malte", "MX": "Mexique", "NL": "Pays-Bas", "NO": "Norvège", "PL": "Pologne",
        "PT": "Portugal", "RO": "Roumanie", "SE": "Suède", "SI": "Slovénie", "SK": "Slovaquie", "TN": "Tunisie",
        "US": "États-Unis",
    },
}  # fmt: skip


def language_of(tag: str) -> Language:
    """The language a document is written in: French for `fr` and `fr-CA`, English for every other tag."""
    return "fr" if tag.lower().replace("_", "-").split("-")[0] == "fr" else "en"


# --- numbers ---------------------------------------------------------------------------------------------------------


def quantity(number: Decimal, language: Language) -> str:
    """Every digit of the number, its whole part in groups of three: `1,234.5` or `1 234,5`."""
    return _grouped(plain(number), language)


def amount(number: Decimal, currency: str, language: Language) -> str:
    """The amount with the currency's decimals: `€1,234.50`, `1 234,50 €`, `BHD 1.234`, `¥120`."""
    return _with_currency(amount_text(number, currency), currency, language)


def unit_price(number: Decimal, currency: str, language: Language) -> str:
    """The price with every digit it has, and at least the currency's decimals: `€0.30`, `€0.0000125`."""
    whole, _, decimals = plain(number).partition(".")
    decimals = decimals.ljust(CURRENCY_DECIMALS[currency], "0")
    return _with_currency(f"{whole}.{decimals}" if decimals else whole, currency, language)


def percent(number: Decimal, language: Language) -> str:
    """A rate in percent with every digit: `5.5%`, `5,5 %`."""
    return quantity(number, language) + ("%" if language == "en" else f"{NARROW_SPACE}%")


def _grouped(text: str, language: Language) -> str:
    unsigned = text.removeprefix("-")
    whole, _, decimals = unsigned.partition(".")
    separator, point = (",", ".") if language == "en" else (NARROW_SPACE, ",")
    groups = f"{int(whole):,}".replace(",", separator)
    return ("" if text == unsigned else MINUS) + groups + (f"{point}{decimals}" if decimals else "")


def _with_currency(text: str, currency: str, language: Language) -> str:
    number = _grouped(text, language)
    symbol = _SYMBOLS[language].get(currency)
    if language == "fr":
        return f"{number}{NARROW_SPACE}{symbol or currency}"
    unsigned = number.removeprefix(MINUS)
    sign = "" if number == unsigned else MINUS
    return f"{sign}{symbol}{unsigned}" if symbol else f"{sign}{currency}{NO_BREAK_SPACE}{unsigned}"


# --- dates -----------------------------------------------------------------------------------------------------------


def day(value: date, language: Language) -> str:
    """`1 December 2026`, `1er décembre 2026`."""
    return f"{day_and_month(value, language)} {value.year}"


def weekday(number: int, language: Language) -> str:
    """The name of a day of the week, 0 for Monday."""
    return _WEEKDAYS[language][number]


def month(number: int, language: Language) -> str:
    """The name of a month, 1 for January."""
    return _MONTHS[language][number - 1]


def day_and_month(value: date, language: Language) -> str:
    """`1 December`, `1er décembre`."""
    return f"{_day_number(value, language)} {_MONTHS[language][value.month - 1]}"


def _day_number(value: date, language: Language) -> str:
    return "1er" if language == "fr" and value.day == 1 else str(value.day)


def period(value: Period, zone: ZoneInfo, language: Language) -> str:
    """The period as people say it, with its last day: `1 – 30 November 2026`, `du 1er au 30 novembre 2026`.

    A period that does not begin and end with a local day is given with its local times and offsets, the end being the
    first moment outside of it.
    """
    first, after = local_date(value.start, zone), local_date(value.end, zone)
    if start_of_day(first, zone) != value.start or start_of_day(after, zone) != value.end:
        return _join(moment(value.start, zone, language), moment(value.end, zone, language), language)
    # Not `after - 1 day`: that day may have been skipped by a zone which crossed the date line.
    last = local_date(value.end - timedelta(microseconds=1), zone)
    if first == last:
        return day(first, language) if language == "en" else f"du {day(first, language)}"
    if first.year != last.year:
        start = day(first, language)
    elif first.month != last.month:
        start = day_and_month(first, language)
    else:
        start = _day_number(first, language)
    return _join(start, day(last, language), language)


def _join(start: str, end: str, language: Language) -> str:
    return f"{start} {EN_DASH} {end}" if language == "en" else f"du {start} au {end}"


def moment(instant: datetime, zone: ZoneInfo, language: Language) -> str:
    """The local time with its offset: `1 December 2026 10:17 (UTC+01:00)`."""
    local = instant.astimezone(zone)
    if local.microsecond:
        clock = local.isoformat(timespec="microseconds")[11:26]
    else:
        clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    offset = local.isoformat(timespec="microseconds")[26:]
    between = " " if language == "en" else " à "
    return f"{day(local.date(), language)}{between}{clock} (UTC{offset})"


# --- the words of a document -----------------------------------------------------------------------------------------


def true_up(is_commitment: bool, language: str) -> str:
    """The title of the line that a plan's minimum or commitment adds."""
    return TEXTS[language_of(language)]["true_up_commitment" if is_commitment else "true_up_minimum"]


def component(item: Component, language: Language) -> str:
    """What the component is: `Tier 1`, `Tranche 1`."""
    return TEXTS[language][item.kind].format(tier=item.tier, label=item.label)


def component_price(item: Component, currency: str, language: Language) -> str:
    """Its unit price; as a percentage where it is one: `1.25%`, `1,25 %`."""
    if item.kind in IN_PERCENT:
        return percent(item.unit_price * 100, language)
    return unit_price(item.unit_price, currency, language)


def allowance(description: str, language: Language) -> str:
    """The description of an allowance; `discount` and `discount 10 %`, the service's own words, in the language."""
    texts = TEXTS[language]
    own = {"promotional credit": "promotional_credit", "maximum of the plan": "plan_maximum",
           "trial": "trial"}  # fmt: skip
    if description in own:
        return texts[own[description]]
    if description.startswith(WAIVED):
        return texts["waived"].format(reason=description.removeprefix(WAIVED))
    if description.startswith("coupon "):
        return texts["coupon"].format(name=description.removeprefix("coupon "))
    word, _, rest = description.partition(" ")
    if word != "discount":
        return description
    number = rest.removesuffix("%").strip()
    if not rest:
        return texts["discount"]
    if not rest.endswith("%") or not number.replace(".", "", 1).isdecimal():
        return description
    return texts["discount_percent"].format(percent=percent(Decimal(number), language))


def line_note(line: InvoiceLine, invoice: Invoice, zone: ZoneInfo, language: Language) -> str:
    """The sentence under a line that names its period; '' where that is the period of the whole document."""
    texts = TEXTS[language]
    named = period(line.period, zone, language)
    if line.kind == "difference":
        return texts["difference"].format(period=named)
    if line.kind == "credit" and line.reopens_usage:
        return texts["correction"].format(period=named)
    return "" if line.period == invoice.period else texts["of_period"].format(period=named)


def reference(item: Reference, invoice: Invoice, zone: ZoneInfo, language: Language) -> str:
    """`Credit for invoice 2026-000042 of 1 December 2026`."""
    text = TEXTS[language]["credit_for" if invoice.type == "credit_note" else "concerns"]
    return text.format(number=item.number, date=day(local_date(item.issued_at, zone), language))


def tax_rate(tax: TaxRate | TaxGroup, language: Language) -> str:
    """The rate of category S (`20%`), the code of any other: an exempt line has no rate, and the code says why."""
    return percent(tax.rate, language) if tax.category == "S" else tax.category


def tax_category(category: str, language: Language) -> str:
    """What a VAT category means, with its code where lines show that: `Outside the scope of VAT (O)`."""
    text = TEXTS[language].get(f"category_{category}", category)
    return text if category == "S" else f"{text} ({category})"


def legal_form(party: Party, language: Language) -> str:
    """What a company's documents say of it: `SAS au capital de 10 000,00 €, RCS Grenoble`; '' for nothing."""
    form = party.legal_form
    if party.share_capital is not None:
        capital = amount(party.share_capital.amount, party.share_capital.currency, language)
        joined = TEXTS[language]["capital"].format(amount=capital)
        form = f"{form} {'au ' if language == 'fr' and form else ''}{joined}".strip()
    return ", ".join(text for text in (form, f"{party.register} {party.register_town}".strip()) if text)


def remarks(invoice: Invoice) -> list[str]:
    """What a person wrote on the document: a note, why it was written and to what it refers."""
    written = invoice.remarks
    return [text for text in (written.note, written.reason, written.reference) if text]


def address_lines(address: Address, language: Language) -> list[str]:
    """The address as on an envelope; the country by its name where it is a frequent one."""
    country = _COUNTRIES[language].get(address.country, address.country)
    town = f"{address.postcode} {address.city}".strip()
    return [text for text in (address.line1, address.line2, town, country) if text]

"""How is the way from a measured quantity to an amount put into words?

Each stage of the pipeline that changed something gives one or more statements, each with its numbers, in English or
French: "Included, free of charge: 130 kWh − 10 kWh = 120 kWh", "Tier 1: 100 kWh × €0.30 = €30.00". The words are those
of a bill, never the names of stages; every number is written out, so that a reader can follow with a calculator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from app.documents import wording
from app.documents.wording import MINUS, TEXTS, Language
from app.domain.charge_models import (
    Capacity,
    ChargeModel,
    Component,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Reservation,
    Tier,
    TimeOfUse,
    TimeRate,
    Volume,
    matrix,
    time_of_use,
)
from app.domain.charge_models.components import IN_THE_UNIT
from app.domain.charge_models.models import WEEKDAYS
from app.domain.events import parse_instant
from app.domain.explanations import ChangedEvent, Correction, Explanation, State, UseIn, UseWindow
from app.domain.money import ZERO
from app.domain.periods import local_date, parse_zone
from app.domain.rating.lines import Rating
from app.domain.rating.pipeline import Passed

TIMES = "×"

_MOST_PRICES = 24
"""More cells or rates than these are not written out in a sentence; the plan shows them all."""

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "measured": "Measured",
        "events": "{count} events",
        "event": "{count} event",
        "from_events": "{quantity} from {events}",
        "price": "Price",
        "per_unit": "{price} per {unit}",
        "per_unit_bare": "{price} each",
        "flat": "{amount} for a whole period",
        "graduated": "each tier prices its own part: {tiers}",
        "volume": "the tier that is reached prices the whole quantity: {tiers}",
        "tier_up_to": "up to {bound} {price}",
        "tier_beyond": "beyond that {price}",
        "tier_any": "any quantity {price}",
        "tier_entry": "{price} and {flat} on entry",
        "percentage": "{rate} of the amounts",
        "percentage_fixed": "{fixed} for each event",
        "percentage_free_events": "the first {events} free",
        "percentage_free_units": "the first {units} free",
        "percentage_minimum": "at least {amount} for each event",
        "percentage_maximum": "at most {amount} for each event",
        "graduated_percentage": "each tier has a rate for its own part: {tiers}",
        "matrix": "by what is used: {cells}",
        "time_of_use": "by the local time of use: {rates}",
        "otherwise": "otherwise {price}",
        "no_price": "otherwise none",
        "further": "and {count} more",
        "on_holidays": "holidays",
        "capacity": "the tier that is reached has one price, whatever the quantity: {tiers}",
        "dynamic": "the measured amount times {multiplier}",
        "reservation": "{reserved} reserved at {price}; beyond that {overage}",
        "package_up": "{price} for each {size}; a part that is begun counts as a whole",
        "package_down": "{price} for each whole {size}",
        "converted": "Converted to the unit that is billed",
        "rounded_up": "Rounded up to {scale} decimals",
        "rounded_down": "Rounded down to {scale} decimals",
        "rounded_half_up": "Rounded to {scale} decimals",
        "maximum_of": "Reduction to the maximum of {amount}",
        "minimum_of": "Supplement to the minimum of {amount}",
        "share": "{amount} for {used} of {full} {unit}",
        "day": "days",
        "second": "seconds",
        "packages": "packages",
        "net": "Amount without VAT",
        "taxed_franchise": "the seller is exempt as a small business",
        "taxed_not_subject": "the seller is not subject to VAT",
        "taxed_not_registered": "the seller has no VAT number and names no rate",
        "taxed_reverse_charge": "the buyer is a business of another member state and owes the VAT itself",
        "taxed_intra_community": "goods go to a business in another member state",
        "taxed_export": "goods leave the European Union",
        "taxed_outside_eu": "it is supplied outside the European Union",
        "taxed_where_it_stands": "it is taxed where it stands: {place}",
        "taxed_not_checked": "the buyer is abroad, and no check says that its VAT number is valid",
        "vat_checked": "{number} was checked on {date}",
        "tax_of_group": "{rate} of {base}, all that is taxed so on this document, is {amount}",
        "plan": "Plan {plan}, version {version}",
        "of": "{percent} of {amount}",
        "before": "Billed before",
        "now": "As measured now",
        "difference": "Difference",
        "difference_here": "Of it on this document",
        "for_quantity": "{amount} for {quantity}",
        "billed_by": "{state} ({document} of {date})",
        "changed": "What changed",
        "added": "counted since: {event}",
        "removed": "counts no more: {event}",
        "event_of": "{at}, {quantity}, event {id} of {source}",
        "more": "and more events; the list of events behind the line has them all",
        "subscription_ended": "the subscription ended: what lies after {at} is owed back",
        "now_computed": "How it is computed now",
        "use_by_day": "Use by day",
        "use_by_hour": "Use by hour",
        "use_unverified": "The events that are kept are no longer those that were counted then.",
        "given_allowance": "Included, of the allowance {of}",
        "given_coupon": "Free with the coupon {of}",
        "given_prepaid": "Prepaid units ({of})",
        "plan_rated": "All charges of the period together",
        "plan_before": "All charges of the term’s earlier periods",
        "plan_committed": "Committed",
        "plan_minimum_of": "Minimum of the plan",
        "holds": "Computed again from what was recorded: the same amount.",
        "holds_not": "Computed again from what was recorded, the amount is another one: {amount}.",
    },
    "fr": {
        "measured": "Mesuré",
        "events": "{count} événements",
        "event": "{count} événement",
        "from_events": "{quantity}, soit {events}",
        "price": "Prix",
        "per_unit": "{price} par {unit}",
        "per_unit_bare": "{price} par unité",
        "flat": "{amount} pour une période entière",
        "graduated": "chaque tranche a son prix, pour sa part : {tiers}",
        "volume": "la tranche atteinte fixe le prix de toute la quantité : {tiers}",
        "tier_up_to": "jusqu’à {bound} {price}",
        "tier_beyond": "au-delà {price}",
        "tier_any": "toute quantité {price}",
        "tier_entry": "{price} et {flat} à l’entrée",
        "percentage": "{rate} des montants",
        "percentage_fixed": "{fixed} par opération",
        "percentage_free_events": "{events} sans frais, les premiers",
        "percentage_free_units": "les premiers {units} sans frais",
        "percentage_minimum": "au moins {amount} par opération",
        "percentage_maximum": "au plus {amount} par opération",
        "graduated_percentage": "chaque tranche a son taux, pour sa part : {tiers}",
        "matrix": "selon ce qui est consommé : {cells}",
        "time_of_use": "selon l’heure locale de la consommation : {rates}",
        "otherwise": "sinon {price}",
        "no_price": "sinon sans prix",
        "further": "et {count} autres",
        "on_holidays": "jours fériés",
        "capacity": "le palier atteint a un seul prix, quelle que soit la quantité : {tiers}",
        "dynamic": "le montant mesuré multiplié par {multiplier}",
        "reservation": "{reserved} réservés à {price} ; au-delà {overage}",
        "package_up": "{price} par lot de {size} ; un lot entamé est dû en entier",
        "package_down": "{price} par lot entier de {size}",
        "converted": "Converti dans l’unité facturée",
        "rounded_up": "Arrondi vers le haut à {scale} décimales",
        "rounded_down": "Arrondi vers le bas à {scale} décimales",
        "rounded_half_up": "Arrondi à {scale} décimales",
        "maximum_of": "Plafonnement au maximum de {amount}",
        "minimum_of": "Complément au minimum de {amount}",
        "share": "{amount} pour {used} {unit} sur {full}",
        "day": "jours",
        "second": "secondes",
        "packages": "lots",
        "net": "Montant HT",
        "taxed_franchise": "le vendeur bénéficie de la franchise en base",
        "taxed_not_subject": "le vendeur n'est pas assujetti à la TVA",
        "taxed_not_registered": "le vendeur n'a pas de numéro de TVA et n'indique aucun taux",
        "taxed_reverse_charge": "le client est une entreprise d'un autre État membre et doit lui-même la TVA",
        "taxed_intra_community": "les biens sont livrés à une entreprise d'un autre État membre",
        "taxed_export": "les biens quittent l'Union européenne",
        "taxed_outside_eu": "la prestation a lieu hors de l'Union européenne",
        "taxed_where_it_stands": "imposé là où se trouve la chose : {place}",
        "taxed_not_checked": "le client est à l'étranger et aucune vérification ne confirme son numéro de TVA",
        "vat_checked": "{number} vérifié le {date}",
        "tax_of_group": "{rate} de {base}, total ainsi taxé sur ce document, soit {amount}",
        "plan": "Offre {plan}, version {version}",
        "of": "{percent} de {amount}",
        "before": "Facturé auparavant",
        "now": "Mesuré à ce jour",
        "difference": "Différence",
        "difference_here": "Dont sur ce document",
        "for_quantity": "{amount} pour {quantity}",
        "billed_by": "{state} ({document} du {date})",
        "changed": "Ce qui a changé",
        "added": "compté depuis : {event}",
        "removed": "ne compte plus : {event}",
        "event_of": "{at}, {quantity}, événement {id} de {source}",
        "more": "et d’autres événements ; la liste des événements de la ligne les donne tous",
        "subscription_ended": "l’abonnement a pris fin : ce qui suit le {at} est rendu",
        "now_computed": "Le calcul à ce jour",
        "use_by_day": "Consommation par jour",
        "use_by_hour": "Consommation par heure",
        "use_unverified": "Les événements conservés ne sont plus ceux qui avaient été comptés.",
        "given_allowance": "Inclus, sur le forfait {of}",
        "given_coupon": "Offert par le bon de réduction {of}",
        "given_prepaid": "Unités prépayées ({of})",
        "plan_rated": "Ensemble des éléments facturés de la période",
        "plan_before": "Ensemble des éléments des périodes précédentes de l’engagement",
        "plan_committed": "Engagement",
        "plan_minimum_of": "Minimum de l’offre",
        "holds": "Recalculé d’après ce qui a été enregistré : le même montant.",
        "holds_not": "Recalculé d’après ce qui a été enregistré, le montant est autre : {amount}.",
    },
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that was done, and the same in numbers."""

    title: str
    formula: str


@dataclass(frozen=True, slots=True)
class Speech:
    """In which language, currency and units a line is spoken of: that which is billed, and that which is measured.
    `proration` says what shares of a period count: days or seconds."""

    language: Language
    currency: str
    unit: str
    measured_unit: str
    proration: str

    def say(self, name: str, **values: Any) -> str:
        return WORDS[self.language][name].format(**values)

    def money(self, amount: Decimal) -> str:
        return wording.amount(amount, self.currency, self.language)

    def price(self, price: Decimal) -> str:
        return wording.unit_price(price, self.currency, self.language)

    def number(self, number: Decimal) -> str:
        return wording.quantity(number, self.language)

    def quantity(self, number: Decimal) -> str:
        """With its unit: `120 kWh`."""
        return f"{self.number(number)} {self.unit}".rstrip()

    def measured(self, number: Decimal) -> str:
        """With the unit in which it was measured: `3,221,225,472 B`."""
        return f"{self.number(number)} {self.measured_unit}".rstrip()

    def listed(self, items: Sequence[str]) -> str:
        return ("; " if self.language == "en" else " ; ").join(items)

    def events(self, count: int) -> str:
        """`1 event`, `1,234 events`."""
        return self.say("event" if count == 1 else "events", count=self.number(Decimal(count)))


# --- the price -------------------------------------------------------------------------------------------------------


def price_statement(model: ChargeModel, speech: Speech) -> Statement:
    """What the price is, before any quantity is known."""
    return Statement(speech.say("price"), _price(model, speech))


def _price(model: ChargeModel, speech: Speech) -> str:
    match model:
        case Flat(amount):
            return speech.say("flat", amount=speech.money(amount))
        case PerUnit(price):
            return _per_unit(price, speech)
        case Graduated(tiers):
            return speech.say("graduated", tiers=_tiers(tiers, speech))
        case Volume(tiers):
            return speech.say("volume", tiers=_tiers(tiers, speech))
        case Package(size, price, round_):
            return speech.say(f"package_{round_}", price=speech.price(price), size=speech.quantity(size))
        case Percentage():
            return _percentage(model, speech)
        case GraduatedPercentage(shares):
            return speech.say("graduated_percentage", tiers=_tiers(shares, speech))
        case Matrix():
            return speech.say("matrix", cells=_cells(model, speech))
        case TimeOfUse():
            return speech.say("time_of_use", rates=_rates(model, speech))
        case Capacity(tiers):
            return speech.say("capacity", tiers=_tiers(tiers, speech, whole=True))
        case Dynamic(multiplier):
            return speech.say("dynamic", multiplier=speech.number(multiplier))
        case Reservation(reserved, price, overage):
            return speech.say(
                "reservation", reserved=speech.quantity(reserved), price=_per_unit(price, speech),
                overage=_per_unit(overage, speech),
            )  # fmt: skip
        case _:
            assert_never(model)


def _percentage(model: Percentage, speech: Speech) -> str:
    said = [speech.say("percentage", rate=wording.percent(model.rate, speech.language))]
    if model.fixed is not None:
        said.append(speech.say("percentage_fixed", fixed=speech.price(model.fixed)))
    if model.free_events is not None:
        said.append(speech.say("percentage_free_events", events=speech.events(model.free_events)))
    if model.free_units is not None:
        said.append(speech.say("percentage_free_units", units=speech.quantity(model.free_units)))
    for name, bound in (("minimum", model.event_minimum), ("maximum", model.event_maximum)):
        if bound is not None:
            said.append(speech.say(f"percentage_{name}", amount=speech.price(bound)))
    return ", ".join(said)


def _cells(model: Matrix, speech: Speech) -> str:
    said = [f"{matrix.label_of(cell)} {_per_unit(cell.unit_price, speech)}" for cell in model.cells[:_MOST_PRICES]]
    if len(model.cells) > _MOST_PRICES:
        said.append(speech.say("further", count=len(model.cells) - _MOST_PRICES))
    default = model.default_unit_price
    said.append(
        speech.say("no_price") if default is None else speech.say("otherwise", price=_per_unit(default, speech))
    )
    return speech.listed(said)


def _rates(model: TimeOfUse, speech: Speech) -> str:
    said = [_rate(rate, speech) for rate in model.rates[:_MOST_PRICES]]
    if len(model.rates) > _MOST_PRICES:
        said.append(speech.say("further", count=len(model.rates) - _MOST_PRICES))
    said.append(speech.say("otherwise", price=_per_unit(model.default_unit_price, speech)))
    return speech.listed(said)


def _rate(rate: TimeRate, speech: Speech) -> str:
    days = [wording.weekday(WEEKDAYS.index(day), speech.language) for day in rate.weekdays if day != "holiday"]
    if "holiday" in rate.weekdays:
        days.append(speech.say("on_holidays"))
    months = [wording.month(month, speech.language) for month in rate.months]
    when = ", ".join(part for part in (time_of_use.label_of(rate), " ".join(days), " ".join(months)) if part)
    return f"{when} {_per_unit(rate.unit_price, speech)}"


def _per_unit(price: Decimal, speech: Speech) -> str:
    if not speech.unit:
        return speech.say("per_unit_bare", price=speech.price(price))
    return speech.say("per_unit", price=speech.price(price), unit=speech.unit)


def _tiers(tiers: Sequence[Tier | PercentageTier], speech: Speech, *, whole: bool = False) -> str:
    """The tiers with their prices; `whole` where a price is for the tier and not for a unit."""
    return speech.listed([_tier(tier, is_only=len(tiers) == 1, whole=whole, speech=speech) for tier in tiers])


def _tier(tier: Tier | PercentageTier, *, is_only: bool, whole: bool, speech: Speech) -> str:
    if isinstance(tier, PercentageTier):
        price = wording.percent(tier.rate, speech.language)
    elif whole:
        price = speech.price(tier.unit_price if tier.flat is None else tier.flat)
    else:
        price = _per_unit(tier.unit_price, speech)
    if tier.flat and not whole:
        price = speech.say("tier_entry", price=price, flat=speech.money(tier.flat))
    if tier.up_to is None:
        return speech.say("tier_any" if is_only else "tier_beyond", price=price)
    return speech.say("tier_up_to", bound=speech.quantity(tier.up_to), price=price)


# --- the stages ------------------------------------------------------------------------------------------------------


def stage_statements(passed: Passed, speech: Speech) -> tuple[Statement, ...]:
    """What the stage did, in order; nothing where it left the line as it was."""
    before, after = passed.before, passed.after
    if before == after:
        return ()
    match passed.stage:
        case "convert_units":
            return (_converted(before, after, speech),)
        case "round_quantity":
            return (_rounded(before, after, speech),)
        case "deduct_allowance":
            return (_included(before, after, speech),)
        case "deduct_given":
            return tuple(_given(before, after, speech))
        case "settle_plan":
            return tuple(_beyond_the_charges(after, speech))
        case (
            "price_quantity"
            | "apply_discounts"
            | "cap_amount"
            | "raise_to_minimum"
            | "waive_in_trial"
            | "lower_together"
        ):
            return (*_new_components(before, after, speech), *_new_allowances(before, after, speech))
        case _:
            assert_never(passed.stage)


def _converted(before: Rating, after: Rating, speech: Speech) -> Statement:
    conversion = after.terms.conversion
    assert conversion is not None, "only a meter that converts changes the quantity here"
    sign = TIMES if conversion.operation == "multiply_by" else "÷"
    measured, factor = speech.measured(before.quantity), speech.number(conversion.factor)
    return Statement(speech.say("converted"), f"{measured} {sign} {factor} = {speech.quantity(after.quantity)}")


def _rounded(before: Rating, after: Rating, speech: Speech) -> Statement:
    rounding = after.terms.rounding
    assert rounding is not None, "only a meter that rounds changes the quantity here"
    title = speech.say(f"rounded_{rounding.mode}", scale=rounding.scale)
    return Statement(title, f"{speech.quantity(before.quantity)} → {speech.quantity(after.quantity)}")


def _included(before: Rating, after: Rating, speech: Speech) -> Statement:
    off = before.quantity_to_price - after.quantity_to_price
    parts = (speech.quantity(item) for item in (before.quantity_to_price, off, after.quantity_to_price))
    measured, free, left = parts
    return Statement(TEXTS[speech.language]["free"], f"{measured} {MINUS} {free} = {left}")


def _given(before: Rating, after: Rating, speech: Speech) -> Iterator[Statement]:
    quantity = before.quantity_to_price
    for item in after.terms.given:
        left = quantity - item.quantity
        parts = (speech.quantity(number) for number in (quantity, item.quantity, left))
        had, off, rest = parts
        yield Statement(speech.say(f"given_{item.kind}", of=item.name), f"{had} {MINUS} {off} = {rest}")
        quantity = left


def _beyond_the_charges(after: Rating, speech: Speech) -> Iterator[Statement]:
    totals = after.terms.plan_totals
    assert totals is not None, "only a plan's minimum or commitment changes the amount here"
    yield Statement(speech.say("plan_rated"), speech.money(totals.rated))
    if totals.before:
        yield Statement(speech.say("plan_before"), speech.money(totals.before))
    if totals.taken_off:
        yield Statement(TEXTS[speech.language]["plan_maximum"], f"{MINUS} {speech.money(totals.taken_off)}")
    if totals.committed is not None:
        yield Statement(speech.say("plan_committed"), speech.money(totals.committed))
    if totals.minimum is not None:
        yield Statement(speech.say("plan_minimum_of"), speech.money(totals.minimum))
    for item in after.components:
        formula = _product(item, "", speech) if item.kind == "commitment_overage" else speech.money(item.amount)
        yield Statement(wording.component(item, speech.language), formula)


def _new_components(before: Rating, after: Rating, speech: Speech) -> Iterator[Statement]:
    amount = before.amount
    for item in after.components[len(before.components) :]:
        yield _component(item, after, amount, speech)
        amount += item.amount


def _component(item: Component, rating: Rating, before: Decimal, speech: Speech) -> Statement:
    """`before` is what the line came to without the component."""
    terms, charge = rating.terms, rating.terms.charge
    match item.kind:
        case "maximum":
            assert charge.maximum is not None
            return Statement(speech.say("maximum_of", amount=speech.money(charge.maximum)), _sum(before, item, speech))
        case "minimum":
            assert charge.minimum is not None
            floor = _share(charge.minimum, before + item.amount, terms.used, terms.full, speech)
            return Statement(speech.say("minimum_of", amount=floor), _sum(before, item, speech))
        case "flat":
            assert isinstance(charge.model, Flat)
            share = _share(charge.model.amount, item.amount, terms.used, terms.full, speech)
            return Statement(wording.component(item, speech.language), share)
        case "reserved_share":
            assert isinstance(charge.model, Reservation)
            whole = charge.model.reserved * charge.model.unit_price
            share = _share(whole, item.amount, terms.used, terms.full, speech)
            return Statement(wording.component(item, speech.language), share)
        case "per_event" | "event_minimum" | "event_maximum":
            events = speech.events(int(item.quantity))
            return Statement(wording.component(item, speech.language), _times(events, item, speech))
        case "capacity" if item.quantity:
            return Statement(wording.component(item, speech.language), speech.money(item.amount))
        case (
            "unit" | "tier" | "percentage" | "percentage_tier" | "cell" | "time_rate" | "other" | "unpriced"
            | "capacity" | "dynamic" | "reserved" | "overage"
        ):  # fmt: skip
            return Statement(wording.component(item, speech.language), product(item, speech))
        case "package":
            return Statement(wording.component(item, speech.language), _product(item, speech.say("packages"), speech))
        case "tier_flat":
            return Statement(wording.component(item, speech.language), speech.money(item.amount))
        case "commitment_overage" | "commitment" | "plan_minimum" | "credited":
            raise AssertionError("these are beyond the charges")
        case _:
            assert_never(item.kind)


def product(item: Component, speech: Speech) -> str:
    """The component as quantity × unit price = amount."""
    return _product(item, speech.unit if item.kind in IN_THE_UNIT else "", speech)


def _product(item: Component, unit: str, speech: Speech) -> str:
    return _times(f"{speech.number(item.quantity)} {unit}".rstrip(), item, speech)


def _times(quantity: str, item: Component, speech: Speech) -> str:
    price = wording.component_price(item, speech.currency, speech.language)
    return f"{quantity} {TIMES} {price} = {speech.money(item.amount)}"


def _sum(before: Decimal, item: Component, speech: Speech) -> str:
    sign = MINUS if item.amount < 0 else "+"
    return f"{speech.money(before)} {sign} {speech.money(abs(item.amount))} = {speech.money(before + item.amount)}"


def _share(whole: Decimal, part: Decimal, used: int, full: int, speech: Speech) -> str:
    """`€16.00`, or `€31.00 for 16 of 31 days = €16.00` where a part of a period is due."""
    if used == full:
        return speech.money(part)
    shared = speech.say(
        "share", amount=speech.money(whole), used=speech.number(Decimal(used)), full=speech.number(Decimal(full)),
        unit=speech.say(speech.proration),
    )  # fmt: skip
    return f"{shared} = {speech.money(part)}"


def _new_allowances(before: Rating, after: Rating, speech: Speech) -> Iterator[Statement]:
    amount = before.amount
    for item in after.allowances[len(before.allowances) :]:
        title = wording.allowance(item.description, speech.language)
        left = amount - item.amount
        yield Statement(title, f"{speech.money(amount)} {MINUS} {speech.money(item.amount)} = {speech.money(left)}")
        amount = left


# --- quantities and events -------------------------------------------------------------------------------------------


def measured_statement(quantity: Decimal, events: int, speech: Speech) -> Statement:
    text = speech.say("from_events", quantity=speech.measured(quantity), events=speech.events(events))
    return Statement(speech.say("measured"), text)


# --- the whole of it -------------------------------------------------------------------------------------------------


def speech_of(found: Explanation, language: Language) -> Speech:
    return Speech(language, found.invoice.currency, found.line.unit, found.measured_unit, found.proration)


def explanation_lines(found: Explanation, language: Language) -> list[str]:
    """The explanation as lines of text, in order; those of a list are indented."""
    speech = speech_of(found, language)
    zone = parse_zone(found.invoice.time_zone)
    line = found.line
    texts = [f"{line.description or line.charge}, {wording.period(line.period, zone, language)}", _plan(found, speech)]
    if found.correction is not None:
        texts += _correction_lines(found, found.correction, speech, zone)
    texts += [as_text(item, language) for item in (*statements(found, speech), tax_statement(found, speech))]
    if found.use:
        texts.append(_heading(speech.say(f"use_by_{found.window}"), language))
        texts += [f"  {_use(item, found.window, speech, zone)}" for item in found.use]
    if not found.use_verified:
        texts.append(speech.say("use_unverified"))
    texts.append(holds_text(found, speech))
    return texts


def statements(found: Explanation, speech: Speech) -> list[Statement]:
    """From what was measured to the amount without VAT, as the line's own trace has it."""
    made = [price_statement(found.rated.terms.charge.model, speech)]
    if found.rated.terms.charge.meter is not None:
        made.insert(0, measured_statement(found.passage[0].before.quantity, found.state.events, speech))
    for passed in found.passage:
        made += stage_statements(passed, speech)
    return [*made, Statement(speech.say("net"), speech.money(found.rated.amount))]


def correction_statements(found: Explanation, correction: Correction, speech: Speech) -> list[Statement]:
    """What it was, what it is now, and the difference."""
    zone = parse_zone(found.invoice.time_zone)
    before, now = correction.before, correction.now
    issued_at = correction.document.issued_at
    assert issued_at is not None
    day = wording.day(local_date(issued_at, zone), speech.language)
    document = f"{TEXTS[speech.language][correction.document.type].lower()} {correction.document.number}"
    was = speech.say("billed_by", state=_state(before, speech), document=document, date=day)
    change = now.amount - before.amount
    formula = f"{speech.money(now.amount)} {MINUS} {speech.money(before.amount)} = {speech.money(change)}"
    made = [
        Statement(speech.say("before"), was),
        Statement(speech.say("now"), _state(now, speech)),
        Statement(speech.say("difference"), formula),
    ]
    here = -found.line.amount if found.line.kind == "credit" else found.line.amount
    if here != change:
        made.append(Statement(speech.say("difference_here"), speech.money(here)))
    return made


def _state(state: State, speech: Speech) -> str:
    if not state.events:
        return speech.money(state.amount)
    quantity = speech.say("from_events", quantity=speech.quantity(state.quantity), events=speech.events(state.events))
    return speech.say("for_quantity", amount=speech.money(state.amount), quantity=quantity)


def _correction_lines(found: Explanation, correction: Correction, speech: Speech, zone: ZoneInfo) -> Iterator[str]:
    yield from (as_text(item, speech.language) for item in correction_statements(found, correction, speech))
    yield _heading(speech.say("changed"), speech.language)
    if correction.ends_earlier:
        end = parse_instant(found.line.trace["stretch"][1])
        yield f"  {speech.say('subscription_ended', at=wording.moment(end, zone, speech.language))}"
    for item in correction.events:
        yield f"  {changed_event_text(item, speech, zone)}"
    if correction.has_more:
        yield f"  {speech.say('more')}"
    yield _heading(speech.say("now_computed"), speech.language)


def changed_event_text(item: ChangedEvent, speech: Speech, zone: ZoneInfo) -> str:
    at = wording.moment(item.at, zone, speech.language)
    quantity = speech.events(1) if item.quantity is None else speech.measured(item.quantity)
    return speech.say(
        item.change, event=speech.say("event_of", at=at, quantity=quantity, id=item.id, source=item.source)
    )


def tax_statement(found: Explanation, speech: Speech) -> Statement:
    """VAT is computed on the document, for all lines of one rate together: that sum is shown, not a share of it."""
    tax, language = found.line.tax, speech.language
    title = wording.tax_category(tax.category, language)
    group = next((g for g in found.invoice.tax if (g.category, g.rate) == (tax.category, tax.rate)), None)
    why = _why_taxed(found, speech)
    if tax.category != "S" or group is None:
        reason = "" if tax.exemption is None else f" · {tax.exemption.reason}"
        return Statement(title, f"{speech.money(ZERO)}{reason}{why}")
    rate = wording.percent(tax.rate, language)
    text = speech.say("tax_of_group", rate=rate, base=speech.money(group.base), amount=speech.money(group.amount))
    return Statement(title, text + why)


def _why_taxed(found: Explanation, speech: Speech) -> str:
    """What the line's tax follows from, where that is more than the rate that the charge or its seller names."""
    said = found.line.trace.get("tax", {})
    if said.get("why") in (None, "named", "default"):
        return ""
    check = said.get("vat_check")
    text = speech.say(f"taxed_{said['why']}", place=said.get("place", ""))
    if check is not None:
        text = f"{text}; {speech.say('vat_checked', number=check['vat_number'], date=check['date'])}"
    return f" · {text}"


def holds_text(found: Explanation, speech: Speech) -> str:
    """Whether the recorded way still gives the recorded amount."""
    return speech.say("holds") if found.holds else speech.say("holds_not", amount=speech.money(found.rated.amount))


def _plan(found: Explanation, speech: Speech) -> str:
    return speech.say("plan", plan=found.line.trace["plan"], version=found.line.trace["version"])


def _use(item: UseIn, window: UseWindow, speech: Speech, zone: ZoneInfo) -> str:
    if window == "day":
        when = wording.day(local_date(item.period.start, zone), speech.language)
    else:
        when = wording.moment(item.period.start, zone, speech.language)
    events = speech.events(item.events)
    return as_text(
        Statement(when, speech.say("from_events", quantity=speech.measured(item.quantity), events=events)),
        speech.language,
    )


def _heading(title: str, language: Language) -> str:
    return f"{title}{':' if language == 'en' else ' :'}"


def as_text(item: Statement, language: Language) -> str:
    return f"{_heading(item.title, language)} {item.formula}"

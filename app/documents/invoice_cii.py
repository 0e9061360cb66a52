"""How is an e-invoice written as UN/CEFACT Cross Industry Invoice (D16B), the XML inside Factur-X?

Element by element in the order of the schema; every text comes from the model of `e_invoice`. The same document gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from lxml import etree

from app.documents.e_invoice import PROFILE, AmountOff, Days, EInvoice, ELine, TradeParty, VatGroup, cents
from app.documents.xml_texts import xml_text
from app.domain.money import plain
from app.domain.parties import Address

_RSM = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
_RAM = "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
_UDT = "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"
_QDT = "urn:un:unece:uncefact:data:standard:QualifiedDataType:100"
_NAMES = {"rsm": _RSM, "qdt": _QDT, "ram": _RAM, "udt": _UDT}

Element: TypeAlias = Any  # the library comes without types


def write_cii(document: EInvoice) -> bytes:
    """The document as XML in UTF-8."""
    root = etree.Element(f"{{{_RSM}}}CrossIndustryInvoice", nsmap=_NAMES)
    _context(_rsm(root, "ExchangedDocumentContext"), document)
    _header(_rsm(root, "ExchangedDocument"), document)
    transaction = _rsm(root, "SupplyChainTradeTransaction")
    for line in document.lines:
        _line(_ram(transaction, "IncludedSupplyChainTradeLineItem"), line)
    _agreement(_ram(transaction, "ApplicableHeaderTradeAgreement"), document)
    _delivery(_ram(transaction, "ApplicableHeaderTradeDelivery"), document)
    _settlement(_ram(transaction, "ApplicableHeaderTradeSettlement"), document)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


# --- elements ---------------------------------------------------------------------------------------------------------


def _rsm(parent: Element, name: str) -> Element:
    return etree.SubElement(parent, f"{{{_RSM}}}{name}")


def _ram(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    return _child(parent, _RAM, name, text, attributes)


def _child(parent: Element, space: str, name: str, text: str | None, attributes: dict[str, str]) -> Element:
    element = etree.SubElement(parent, f"{{{space}}}{name}", {key: value for key, value in attributes.items() if value})
    if text is not None:
        element.text = xml_text(text)
    return element


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    """The element, unless the text is ''."""
    if text:
        _ram(parent, name, text, **attributes)


def _amount(parent: Element, name: str, amount: Decimal, **attributes: str) -> None:
    _ram(parent, name, cents(amount), **attributes)


def _day(parent: Element, name: str, day: date, *, space: str = _UDT) -> None:
    _child(_ram(parent, name), space, "DateTimeString", day.strftime("%Y%m%d"), {"format": "102"})


def _indicator(parent: Element, name: str, value: bool) -> None:
    _child(_ram(parent, name), _UDT, "Indicator", "true" if value else "false", {})


def _days(parent: Element, days: Days) -> None:
    period = _ram(parent, "BillingSpecifiedPeriod")
    _day(period, "StartDateTime", days.first)
    _day(period, "EndDateTime", days.last)


# --- the document -----------------------------------------------------------------------------------------------------


def _context(parent: Element, document: EInvoice) -> None:
    if document.process:
        _ram(_ram(parent, "BusinessProcessSpecifiedDocumentContextParameter"), "ID", document.process)
    _ram(_ram(parent, "GuidelineSpecifiedDocumentContextParameter"), "ID", PROFILE)


def _header(parent: Element, document: EInvoice) -> None:
    _ram(parent, "ID", document.number)
    _ram(parent, "TypeCode", document.type_code)
    _day(parent, "IssueDateTime", document.issued_on)
    for note in document.notes:
        included = _ram(parent, "IncludedNote")
        _ram(included, "Content", note.text)
        _text(included, "SubjectCode", note.code)


def _line(parent: Element, line: ELine) -> None:
    _ram(_ram(parent, "AssociatedDocumentLineDocument"), "LineID", line.id)
    product = _ram(parent, "SpecifiedTradeProduct")
    _ram(product, "Name", line.name)
    _text(product, "Description", line.description)
    price = _ram(_ram(parent, "SpecifiedLineTradeAgreement"), "NetPriceProductTradePrice")
    _ram(price, "ChargeAmount", plain(line.price))
    if line.price_base != 1:
        _ram(price, "BasisQuantity", plain(line.price_base), unitCode=line.unit_code)
    delivery = _ram(parent, "SpecifiedLineTradeDelivery")
    _ram(delivery, "BilledQuantity", plain(line.quantity), unitCode=line.unit_code)
    settlement = _ram(parent, "SpecifiedLineTradeSettlement")
    _category(_ram(settlement, "ApplicableTradeTax"), line.category, line.rate)
    _days(settlement, line.period)
    for item in line.allowances:
        _allowance(settlement, item)
    _amount(_ram(settlement, "SpecifiedTradeSettlementLineMonetarySummation"), "LineTotalAmount", line.amount)
    if line.cost_centre:
        _ram(_ram(settlement, "ReceivableSpecifiedTradeAccountingAccount"), "ID", line.cost_centre)


def _category(parent: Element, category: str, rate: Decimal | None) -> None:
    _ram(parent, "TypeCode", "VAT")
    _ram(parent, "CategoryCode", category)
    if rate is not None:
        _ram(parent, "RateApplicablePercent", plain(rate))


def _allowance(parent: Element, item: AmountOff) -> None:
    element = _ram(parent, "SpecifiedTradeAllowanceCharge")
    _indicator(element, "ChargeIndicator", item.adds)
    _amount(element, "ActualAmount", item.amount)
    _ram(element, "Reason", item.reason)
    if item.category:
        _category(_ram(element, "CategoryTradeTax"), item.category, item.rate)


# --- parties and references -------------------------------------------------------------------------------------------


def _agreement(parent: Element, document: EInvoice) -> None:
    references = document.references
    _text(parent, "BuyerReference", references.buyer_reference)
    _party(_ram(parent, "SellerTradeParty"), document.seller)
    _party(_ram(parent, "BuyerTradeParty"), document.buyer)
    for name, number in (
        ("BuyerOrderReferencedDocument", references.purchase_order),
        ("ContractReferencedDocument", references.contract_reference),
    ):
        if number:
            _ram(_ram(parent, name), "IssuerAssignedID", number)
    if references.project_reference:
        project = _ram(parent, "SpecifiedProcuringProject")
        _ram(project, "ID", references.project_reference)
        _ram(project, "Name", references.project_reference)


def _party(parent: Element, party: TradeParty) -> None:
    for identifier in party.identifiers:
        _ram(parent, "GlobalID" if identifier.scheme else "ID", identifier.value, schemeID=identifier.scheme)
    _ram(parent, "Name", party.name)
    _text(parent, "Description", party.legal_form)
    if party.legal_number is not None:
        organization = _ram(parent, "SpecifiedLegalOrganization")
        _ram(organization, "ID", party.legal_number.value, schemeID=party.legal_number.scheme)
    if party.contact is not None:
        contact = _ram(parent, "DefinedTradeContact")
        _text(contact, "PersonName", party.contact.name)
        if party.contact.phone:
            _ram(_ram(contact, "TelephoneUniversalCommunication"), "CompleteNumber", party.contact.phone)
        if party.contact.email:
            _ram(_ram(contact, "EmailURIUniversalCommunication"), "URIID", party.contact.email)
    _address(_ram(parent, "PostalTradeAddress"), party.address)
    if party.electronic_address is not None:
        address = party.electronic_address
        _ram(_ram(parent, "URIUniversalCommunication"), "URIID", address.id, schemeID=address.scheme)
    for number, scheme in ((party.vat_number, "VA"), (party.tax_number, "FC")):
        if number:
            _ram(_ram(parent, "SpecifiedTaxRegistration"), "ID", number, schemeID=scheme)


def _address(parent: Element, address: Address) -> None:
    _text(parent, "PostcodeCode", address.postcode)
    _text(parent, "LineOne", address.line1)
    _text(parent, "LineTwo", address.line2)
    _text(parent, "CityName", address.city)
    _ram(parent, "CountryID", address.country)


def _delivery(parent: Element, document: EInvoice) -> None:
    if document.delivery_address is not None:
        _address(_ram(_ram(parent, "ShipToTradeParty"), "PostalTradeAddress"), document.delivery_address)
    _day(_ram(parent, "ActualDeliverySupplyChainEvent"), "OccurrenceDateTime", document.delivered_on)


# --- what is owed -----------------------------------------------------------------------------------------------------


def _settlement(parent: Element, document: EInvoice) -> None:
    payment = document.payment
    if payment is not None:
        _ram(parent, "PaymentReference", payment.reference)
    _text(parent, "TaxCurrencyCode", document.accounting_currency)
    _ram(parent, "InvoiceCurrencyCode", document.currency)
    if payment is not None:
        means = _ram(parent, "SpecifiedTradeSettlementPaymentMeans")
        _ram(means, "TypeCode", payment.means)
        account = _ram(means, "PayeePartyCreditorFinancialAccount")
        _ram(account, "IBANID", payment.iban)
        _text(account, "AccountName", payment.account_name)
        if payment.bic:
            _ram(_ram(means, "PayeeSpecifiedCreditorFinancialInstitution"), "BICID", payment.bic)
    for group in document.vat:
        _vat(_ram(parent, "ApplicableTradeTax"), group, document)
    _days(parent, document.period)
    for item in document.allowances:
        _allowance(parent, item)
    if document.terms or document.due_on is not None:
        terms = _ram(parent, "SpecifiedTradePaymentTerms")
        _text(terms, "Description", document.terms)
        if document.due_on is not None:
            _day(terms, "DueDateDateTime", document.due_on)
    _totals(_ram(parent, "SpecifiedTradeSettlementHeaderMonetarySummation"), document)
    for preceding in document.preceding:
        reference = _ram(parent, "InvoiceReferencedDocument")
        _ram(reference, "IssuerAssignedID", preceding.number)
        _day(reference, "FormattedIssueDateTime", preceding.issued_on, space=_QDT)
    if document.references.cost_centre:
        _ram(_ram(parent, "ReceivableSpecifiedTradeAccountingAccount"), "ID", document.references.cost_centre)


def _vat(parent: Element, group: VatGroup, document: EInvoice) -> None:
    _amount(parent, "CalculatedAmount", group.amount)
    _ram(parent, "TypeCode", "VAT")
    _text(parent, "ExemptionReason", group.reason)
    _amount(parent, "BasisAmount", group.base)
    _ram(parent, "CategoryCode", group.category)
    _text(parent, "ExemptionReasonCode", group.reason_code)
    _text(parent, "DueDateTypeCode", document.vat_due)
    if group.rate is not None:
        _ram(parent, "RateApplicablePercent", plain(group.rate))


def _totals(parent: Element, document: EInvoice) -> None:
    totals = document.totals
    _amount(parent, "LineTotalAmount", totals.lines)
    _amount(parent, "ChargeTotalAmount", totals.charges)
    _amount(parent, "AllowanceTotalAmount", totals.allowances)
    _amount(parent, "TaxBasisTotalAmount", totals.net)
    for currency, vat in _vat_totals(document):
        _amount(parent, "TaxTotalAmount", vat, currencyID=currency)
    _amount(parent, "GrandTotalAmount", totals.gross)
    _amount(parent, "TotalPrepaidAmount", totals.paid)
    _amount(parent, "DuePayableAmount", totals.due)


def _vat_totals(document: EInvoice) -> Iterator[tuple[str, Decimal]]:
    yield document.currency, document.totals.vat
    if document.accounting_vat is not None:
        yield document.accounting_currency, document.accounting_vat

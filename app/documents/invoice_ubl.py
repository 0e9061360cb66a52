"""How is an e-invoice written as UBL 2.1?

The same model as for CII, in the other syntax of EN 16931: a credit note is a document of another name there, with
other names for a few of its parts. Element by element in the order of the schemas.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

from lxml import etree

from app.documents.e_invoice import PROFILE, AmountOff, Days, EInvoice, ELine, TradeParty, VatGroup, cents
from app.documents.xml_texts import xml_text
from app.domain.money import plain
from app.domain.parties import Address

_CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
_CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
_ROOT = "urn:oasis:names:specification:ubl:schema:xsd:{name}-2"

# What a VAT point falls on, in the code list of this syntax (UNTDID 2005).
_VAT_DUE = {"5": "3", "29": "35", "72": "432"}

Element: TypeAlias = Any  # the library comes without types


def write_ubl(document: EInvoice) -> bytes:
    """The document as XML in UTF-8: an Invoice, or a CreditNote for type 381."""
    credits = document.type_code == "381"
    name = "CreditNote" if credits else "Invoice"
    space = _ROOT.format(name=name)
    root = etree.Element(f"{{{space}}}{name}", nsmap={None: space, "cac": _CAC, "cbc": _CBC})
    _header(root, document, credits=credits)
    _references(root, document, credits=credits)
    _party(_cac(_cac(root, "AccountingSupplierParty"), "Party"), document.seller, sells=True)
    _party(_cac(_cac(root, "AccountingCustomerParty"), "Party"), document.buyer, sells=False)
    _delivery(root, document)
    _payment(root, document, credits=credits)
    for item in document.allowances:
        _allowance(root, item, document)
    _tax(root, document)
    _totals(_cac(root, "LegalMonetaryTotal"), document)
    for line in document.lines:
        _line(_cac(root, f"{name}Line"), line, document, quantity="CreditedQuantity" if credits else "InvoicedQuantity")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


# --- elements ---------------------------------------------------------------------------------------------------------


def _cac(parent: Element, name: str) -> Element:
    return etree.SubElement(parent, f"{{{_CAC}}}{name}")


def _cbc(parent: Element, name: str, text: str, **attributes: str) -> None:
    """The element, unless the text is ''."""
    text = xml_text(text)
    if text:
        given = {key: value for key, value in attributes.items() if value}
        etree.SubElement(parent, f"{{{_CBC}}}{name}", given).text = text


def _amount(parent: Element, name: str, amount: Decimal, document: EInvoice) -> None:
    _cbc(parent, name, cents(amount), currencyID=document.currency)


def _identified(parent: Element, name: str, number: str) -> None:
    if number:
        _cbc(_cac(parent, name), "ID", number)


# --- the document -----------------------------------------------------------------------------------------------------


def _header(root: Element, document: EInvoice, *, credits: bool) -> None:
    _cbc(root, "CustomizationID", PROFILE)
    _cbc(root, "ProfileID", document.process)
    _cbc(root, "ID", document.number)
    _cbc(root, "IssueDate", document.issued_on.isoformat())
    if not credits and document.due_on is not None:
        _cbc(root, "DueDate", document.due_on.isoformat())
    _cbc(root, "CreditNoteTypeCode" if credits else "InvoiceTypeCode", document.type_code)
    for note in document.notes:
        # This syntax has no place for the code of a note; the norm's binding puts it before the text.
        _cbc(root, "Note", f"#{note.code}#{note.text}" if note.code else note.text)
    _cbc(root, "DocumentCurrencyCode", document.currency)
    _cbc(root, "TaxCurrencyCode", document.accounting_currency)
    _cbc(root, "AccountingCost", document.references.cost_centre)
    _cbc(root, "BuyerReference", document.references.buyer_reference)
    _period(root, document.period, vat_due=_VAT_DUE.get(document.vat_due, ""))


def _period(parent: Element, days: Days, *, vat_due: str = "") -> None:
    period = _cac(parent, "InvoicePeriod")
    _cbc(period, "StartDate", days.first.isoformat())
    _cbc(period, "EndDate", days.last.isoformat())
    _cbc(period, "DescriptionCode", vat_due)


def _references(root: Element, document: EInvoice, *, credits: bool) -> None:
    references = document.references
    _identified(root, "OrderReference", references.purchase_order)
    for preceding in document.preceding:
        reference = _cac(_cac(root, "BillingReference"), "InvoiceDocumentReference")
        _cbc(reference, "ID", preceding.number)
        _cbc(reference, "IssueDate", preceding.issued_on.isoformat())
    _identified(root, "ContractDocumentReference", references.contract_reference)
    if not references.project_reference:
        return
    if credits:  # A credit note has no project of its own; the norm's binding says it by a document of type 50.
        project = _cac(root, "AdditionalDocumentReference")
        _cbc(project, "ID", references.project_reference)
        _cbc(project, "DocumentTypeCode", "50")
    else:
        _identified(root, "ProjectReference", references.project_reference)


def _party(parent: Element, party: TradeParty, *, sells: bool) -> None:
    if party.electronic_address is not None:
        _cbc(parent, "EndpointID", party.electronic_address.id, schemeID=party.electronic_address.scheme)
    for identifier in party.identifiers:
        _cbc(_cac(parent, "PartyIdentification"), "ID", identifier.value, schemeID=identifier.scheme)
    _address(_cac(parent, "PostalAddress"), party.address)
    for number, scheme in ((party.vat_number, "VAT"), (party.tax_number, "LOC")):
        if number:
            registered = _cac(parent, "PartyTaxScheme")
            _cbc(registered, "CompanyID", number)
            _cbc(_cac(registered, "TaxScheme"), "ID", scheme)
    legal = _cac(parent, "PartyLegalEntity")
    _cbc(legal, "RegistrationName", party.name)
    if party.legal_number is not None:
        _cbc(legal, "CompanyID", party.legal_number.value, schemeID=party.legal_number.scheme)
    if sells:
        _cbc(legal, "CompanyLegalForm", party.legal_form)
    if party.contact is not None:
        contact = _cac(parent, "Contact")
        _cbc(contact, "Name", party.contact.name)
        _cbc(contact, "Telephone", party.contact.phone)
        _cbc(contact, "ElectronicMail", party.contact.email)


def _address(parent: Element, address: Address) -> None:
    _cbc(parent, "StreetName", address.line1)
    _cbc(parent, "AdditionalStreetName", address.line2)
    _cbc(parent, "CityName", address.city)
    _cbc(parent, "PostalZone", address.postcode)
    _cbc(_cac(parent, "Country"), "IdentificationCode", address.country)


def _delivery(root: Element, document: EInvoice) -> None:
    delivery = _cac(root, "Delivery")
    _cbc(delivery, "ActualDeliveryDate", document.delivered_on.isoformat())
    if document.delivery_address is not None:
        _address(_cac(_cac(delivery, "DeliveryLocation"), "Address"), document.delivery_address)


def _payment(root: Element, document: EInvoice, *, credits: bool) -> None:
    payment = document.payment
    if payment is not None:
        means = _cac(root, "PaymentMeans")
        _cbc(means, "PaymentMeansCode", payment.means)
        _cbc(means, "PaymentID", payment.reference)
        account = _cac(means, "PayeeFinancialAccount")
        _cbc(account, "ID", payment.iban)
        _cbc(account, "Name", payment.account_name)
        _identified(account, "FinancialInstitutionBranch", payment.bic)
    if document.terms:
        _cbc(_cac(root, "PaymentTerms"), "Note", document.terms)


# --- what is owed -----------------------------------------------------------------------------------------------------


def _allowance(parent: Element, item: AmountOff, document: EInvoice) -> None:
    element = _cac(parent, "AllowanceCharge")
    _cbc(element, "ChargeIndicator", "true" if item.adds else "false")
    _cbc(element, "AllowanceChargeReason", item.reason)
    _amount(element, "Amount", item.amount, document)
    if item.category:
        _category(_cac(element, "TaxCategory"), item.category, item.rate)


def _category(parent: Element, category: str, rate: Decimal | None, *, code: str = "", reason: str = "") -> None:
    _cbc(parent, "ID", category)
    if rate is not None:
        _cbc(parent, "Percent", plain(rate))
    _cbc(parent, "TaxExemptionReasonCode", code)
    _cbc(parent, "TaxExemptionReason", reason)
    _cbc(_cac(parent, "TaxScheme"), "ID", "VAT")


def _tax(root: Element, document: EInvoice) -> None:
    total = _cac(root, "TaxTotal")
    _amount(total, "TaxAmount", document.totals.vat, document)
    for group in document.vat:
        _subtotal(_cac(total, "TaxSubtotal"), group, document)
    if document.accounting_vat is not None:
        _cbc(
            _cac(root, "TaxTotal"), "TaxAmount", cents(document.accounting_vat), currencyID=document.accounting_currency
        )


def _subtotal(parent: Element, group: VatGroup, document: EInvoice) -> None:
    _amount(parent, "TaxableAmount", group.base, document)
    _amount(parent, "TaxAmount", group.amount, document)
    _category(_cac(parent, "TaxCategory"), group.category, group.rate, code=group.reason_code, reason=group.reason)


def _totals(parent: Element, document: EInvoice) -> None:
    totals = document.totals
    for name, amount in (
        ("LineExtensionAmount", totals.lines), ("TaxExclusiveAmount", totals.net),
        ("TaxInclusiveAmount", totals.gross), ("AllowanceTotalAmount", totals.allowances),
        ("ChargeTotalAmount", totals.charges), ("PrepaidAmount", totals.paid), ("PayableAmount", totals.due),
    ):  # fmt: skip
        _amount(parent, name, amount, document)


def _line(parent: Element, line: ELine, document: EInvoice, *, quantity: str) -> None:
    _cbc(parent, "ID", line.id)
    _cbc(parent, quantity, plain(line.quantity), unitCode=line.unit_code)
    _amount(parent, "LineExtensionAmount", line.amount, document)
    _cbc(parent, "AccountingCost", line.cost_centre)
    _period(parent, line.period)
    for item in line.allowances:
        _allowance(parent, item, document)
    product = _cac(parent, "Item")
    _cbc(product, "Description", line.description)
    _cbc(product, "Name", line.name)
    category = _cac(product, "ClassifiedTaxCategory")
    _category(category, line.category, line.rate)
    price = _cac(parent, "Price")
    _cbc(price, "PriceAmount", plain(line.price), currencyID=document.currency)
    if line.price_base != 1:
        _cbc(price, "BaseQuantity", plain(line.price_base), unitCode=line.unit_code)

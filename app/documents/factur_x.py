"""How does a PDF carry its e-invoice?

As Factur-X: the CII is a file inside the PDF/A-3 that shows the same document to people, named factur-x.xml and
marked as an alternative of what is seen. Reading it back gives the very bytes that were put in.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from app.documents.e_invoice import EInvoice
from app.documents.wording import TEXTS, Language


@cache
def _library() -> Any:
    # Loaded with the first document: it brings along half a second of imports that a start need not wait for.
    return import_module("facturx")


def e_invoice_in(pdf: bytes) -> bytes:
    """The e-invoice that the PDF carries; nothing where it carries none."""
    _, found = _library().get_xml_from_pdf(pdf, check_xsd=False, check_schematron=False)
    return bytes(found or b"")


def is_archivable(pdf: bytes) -> bool:
    """True where the PDF says of itself that it is PDF/A: only such a one may carry an e-invoice."""
    return b"pdfaid:part" in pdf


def embed(pdf: bytes, xml: bytes, document: EInvoice, language: Language) -> bytes:
    """The PDF/A-3 with the XML in it; the PDF has no attachment before."""
    kind = TEXTS[language]["credit_note" if document.type_code == "381" else "invoice"]
    name = f"{kind} {document.number}"
    embedded = _library().generate_from_binary(
        pdf, xml, flavor="factur-x", level="en16931", check_xsd=False, check_schematron=False,
        lang="fr-FR" if language == "fr" else "en-GB", afrelationship="alternative",
        pdf_metadata={
            "author": document.seller.name, "title": f"{document.seller.name}: {name}", "keywords": "Factur-X",
            "subject": name,
        },
    )  # fmt: skip
    assert isinstance(embedded, bytes)
    return embedded

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pikepdf
import pytest
from facturx import get_xml_from_pdf

from app.documents.factur_x import embed, is_archivable
from app.documents.invoice_cii import write_cii
from app.documents.invoice_pdf import render_pdf
from app.documents.make_e_invoice import e_invoice_of
from app.domain.invoices import Invoice, InvoiceLine
from tests.documents.e_invoices import ACME, GARAGE

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]

_FACTUR_X = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"


@pytest.fixture
def pdf_and_xml(make_invoice: MakeInvoice, make_line: MakeLine) -> tuple[bytes, bytes]:
    invoice = make_invoice(make_line(), seller=GARAGE, buyer=ACME, language="fr")
    document = e_invoice_of(invoice)
    xml = write_cii(document)
    return embed(render_pdf(invoice), xml, document, "fr"), xml


def test_the_file_in_the_pdf_is_the_e_invoice_byte_for_byte(pdf_and_xml: tuple[bytes, bytes]):
    pdf, xml = pdf_and_xml

    assert get_xml_from_pdf(pdf, check_xsd=False, check_schematron=False) == ("factur-x.xml", xml)


def test_the_pdf_has_what_pdf_a_3_asks_for(pdf_and_xml: tuple[bytes, bytes]):
    """Output intent, identifier, XMP that says part 3 B and Factur-X EN 16931, one associated file, fonts inside."""
    with pikepdf.open(io.BytesIO(pdf_and_xml[0])) as pdf:
        root: Any = pdf.Root
        assert [str(item.S) for item in root.OutputIntents] == ["/GTS_PDFA1"]
        assert root.OutputIntents[0].DestOutputProfile.read_bytes()
        assert len(pdf.trailer.ID) == 2
        assert not pdf.is_encrypted
        metadata = pdf.open_metadata()
        assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "B")
        names = ("DocumentType", "DocumentFileName", "ConformanceLevel")
        assert [metadata[f"{{{_FACTUR_X}}}{name}"] for name in names] == ["INVOICE", "factur-x.xml", "EN 16931"]
        assert [str(item.F) for item in root.AF] == ["factur-x.xml"]
        assert len(list(_of_type(pdf, "/Filespec"))) == 1
        filespec = root.AF[0]
        assert str(filespec.AFRelationship) == "/Alternative"
        assert str(filespec.EF.F.Subtype) == "/text/xml"
        assert filespec.EF.F.Params.ModDate and int(filespec.EF.F.Params.Size) == len(pdf_and_xml[1])
        assert str(root.Lang) == "fr-FR"
        fonts = list(_of_type(pdf, "/FontDescriptor"))
        assert fonts
        assert all({"/FontFile", "/FontFile2", "/FontFile3"} & set(font.keys()) for font in fonts)


def _of_type(pdf: pikepdf.Pdf, name: str) -> Iterator[Any]:
    return (item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and item.get("/Type") == name)


def test_only_what_is_pdf_a_may_carry_an_e_invoice(make_invoice: MakeInvoice, make_line: MakeLine):
    """The library marks whatever it is given as PDF/A-3."""
    archivable = render_pdf(make_invoice(make_line(), seller=GARAGE, buyer=ACME))

    assert is_archivable(archivable)
    assert not is_archivable(archivable.replace(b"pdfaid:", b"other_:"))


def test_what_is_seen_is_what_was_rendered(
    pdf_and_xml: tuple[bytes, bytes], make_invoice: MakeInvoice, make_line: MakeLine
):
    plain = render_pdf(make_invoice(make_line(), seller=GARAGE, buyer=ACME, language="fr"))

    pages = []
    for content in (plain, pdf_and_xml[0]):
        with pikepdf.open(io.BytesIO(content)) as pdf:
            pages.append([page.Contents.read_bytes() for page in pdf.pages])
    assert pages[0] == pages[1]

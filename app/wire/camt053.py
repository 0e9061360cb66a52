"""Bank statements as CAMT.053 (ISO 20022, camt.053.001.02 and all later versions) -> domain values.

    <Ntry><Amt Ccy="EUR">42.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-11-05</Dt></BookgDt>
      <NtryDtls><TxDtls>..<RmtInf><Strd><CdtrRefInf><Ref>RF022026000042</Ref></CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls></Ntry>

Names count without their namespace, so that one reader is for every version. A booking of several movements is one
entry for each, where their amounts sum to it, else one entry of all their texts. What is announced and not booked is
counted and left out.

The reader is expat, told to stop at a document type: without one there are no entities to expand and nothing to fetch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Never
from xml.parsers import expat

from app.domain.bank import BankEntry, BankStatement, Direction
from app.domain.errors import InvalidInput, Malformed
from app.domain.money import CURRENCY_DECIMALS, ZERO, plain

MAX_DEPTH = 64
MAX_TEXT = 1000
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{0,6})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# What banks write where they have nothing to say.
_NOTHING = frozenset({"NONREF", "NOTPROVIDED", "NOT PROVIDED", "NOTAVAILABLE", "NONE", "N/A"})
# Bank transaction codes (ISO 20022) of what comes back: returned, cancelled, reversed and unpaid.
_RETURNS = frozenset({"RRTN", "RPCR", "PRDD", "UPDD", "UPCT", "UPCQ"})
# A short number is the place of the booking in its statement: another statement counts anew.
_PLACE = re.compile(r"[0-9]{1,4}", re.ASCII)


# --- a tree without namespaces ----------------------------------------------------------------------------------------


@dataclass
class _Node:
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[_Node] = field(default_factory=list)
    text: str = ""

    def all(self, path: str) -> Iterator[_Node]:
        """Every node at the path below this one."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.name == first:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def one(self, *paths: str) -> _Node | None:
        """The first node at the first of the paths that leads somewhere."""
        return next((node for path in paths for node in self.all(path)), None)

    def said(self, *paths: str) -> str:
        """The text there; '' where there is none, or one that says nothing."""
        for path in paths:
            for node in self.all(path):
                text = " ".join(node.text.split())
                if text and text.upper() not in _NOTHING:
                    return text[:MAX_TEXT]
        return ""


def _tree(content: bytes) -> _Node:
    root = _Node("")
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise Malformed(f"The XML is nested in more than {MAX_DEPTH} levels.")
        node = _Node(name.rpartition(" ")[2], {key.rpartition(" ")[2]: value for key, value in attributes.items()})
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def text(characters: str) -> None:
        stack[-1].text += characters

    def refuse(*_anything: object) -> Never:
        raise Malformed("The XML has a document type declaration, which a bank statement has not.")

    reader = expat.ParserCreate(namespace_separator=" ")
    reader.buffer_text = True
    reader.StartElementHandler, reader.EndElementHandler, reader.CharacterDataHandler = start, end, text
    reader.StartDoctypeDeclHandler = refuse
    reader.EntityDeclHandler = refuse
    try:
        reader.Parse(content, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise Malformed(f"The XML cannot be read: {error}.") from error
    return root.children[0]


# --- statements -------------------------------------------------------------------------------------------------------


def statements_from_camt(content: bytes) -> list[BankStatement]:
    """The statements of a file. Raises Malformed for what is no XML, InvalidInput for what is no CAMT.053."""
    document = _tree(content)
    body = document if document.name == "BkToCstmrStmt" else document.one("BkToCstmrStmt")
    if body is None:
        raise InvalidInput.at("#", "is no CAMT.053: there is no BkToCstmrStmt in it")
    return [_statement(node, f"#/Stmt/{index}") for index, node in enumerate(body.all("Stmt"))]


def _statement(node: _Node, pointer: str) -> BankStatement:
    account = node.said("Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id").replace(" ", "").upper()
    entries: list[BankEntry] = []
    pending = 0
    for index, entry in enumerate(node.all("Ntry")):
        status = entry.said("Sts/Cd", "Sts/Prtry", "Sts").upper()
        if status not in ("", "BOOK"):
            pending += 1
            continue
        entries += _entries(entry, account, f"{pointer}/Ntry/{index}")
    return BankStatement(node.said("Id"), account, tuple(entries), pending)


def _entries(node: _Node, account: str, pointer: str) -> list[BankEntry]:
    amount, currency = _amount(node.one("Amt"), f"{pointer}/Amt")
    direction = _direction(node.said("CdtDbtInd"), f"{pointer}/CdtDbtInd")
    booked_on = _day(node, ("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"), f"{pointer}/BookgDt")
    if booked_on is None:
        raise InvalidInput.at(f"{pointer}/BookgDt", "is missing")
    reference = node.said("AcctSvcrRef") or _unless_place(node.said("NtryRef"))
    whole = BankEntry(
        account, booked_on, amount, currency, direction, _day(node, ("ValDt/Dt", "ValDt/DtTm"), f"{pointer}/ValDt"),
        reference, text=node.said("AddtlNtryInf"),
        is_returned=node.said("RvslInd") in ("true", "1") or _is_return(node),
    )  # fmt: skip
    details = [item for group in node.all("NtryDtls") for item in group.all("TxDtls")]
    parts = [_detailed(whole, item) for item in details]
    if len(parts) < 2:
        return [replace(part, amount=amount, direction=direction) for part in parts] or ([whole] if amount else [])
    signed = sum((part.amount if part.direction == direction else -part.amount for part in parts), ZERO)
    if signed == amount and all(part.currency == currency and part.amount for part in parts):
        return parts
    return [replace(whole, text=_joined(part.text for part in parts),
                    references=tuple(reference for part in parts for reference in part.references))]  # fmt: skip


def _detailed(whole: BankEntry, node: _Node) -> BankEntry:
    """The booking as one of its movements tells it."""
    told = node.one("Amt", "AmtDtls/TxAmt/Amt")
    amount, currency = (ZERO, whole.currency) if told is None else _amount(told, "#/TxDtls/Amt")
    direction = whole.direction
    if node.said("CdtDbtInd"):
        direction = _direction(node.said("CdtDbtInd"), "#/TxDtls/CdtDbtInd")
    other = "Dbtr" if direction == "credit" else "Cdtr"
    texts = [" ".join(item.text.split()) for item in node.all("RmtInf/Ustrd")]
    texts += [" ".join(item.text.split()) for item in node.all("RmtInf/Strd/RfrdDocInf/Nb")]
    texts += [" ".join(item.text.split()) for item in node.all("RmtInf/Strd/AddtlRmtInf")]
    references = ("".join(item.text.split()) for item in node.all("RmtInf/Strd/CdtrRefInf/Ref"))
    returned = node.one("RtrInf")
    return replace(
        whole, amount=amount, currency=currency, direction=direction,
        transaction_reference=node.said("Refs/AcctSvcrRef", "Refs/TxId", "Refs/UETR", "Refs/InstrId"),
        end_to_end_id=node.said("Refs/EndToEndId"),
        name=node.said(f"RltdPties/{other}/Nm", f"RltdPties/{other}/Pty/Nm", f"RltdPties/Ultmt{other}/Nm",
                       f"RltdPties/Ultmt{other}/Pty/Nm"),
        counterparty_account=node.said(f"RltdPties/{other}Acct/Id/IBAN", f"RltdPties/{other}Acct/Id/Othr/Id")
        .replace(" ", "").upper(),
        references=tuple(text[:MAX_TEXT] for text in references if text),
        text=_joined([*texts, node.said("AddtlTxInf"), whole.text]),
        is_returned=whole.is_returned or returned is not None or _is_return(node),
        return_reason="" if returned is None else returned.said("Rsn/Cd", "Rsn/Prtry", "AddtlInf"),
    )  # fmt: skip


def _is_return(node: _Node) -> bool:
    return node.said("BkTxCd/Domn/Fmly/SubFmlyCd") in _RETURNS


def _joined(texts: Iterator[str] | list[str]) -> str:
    return " ".join(dict.fromkeys(text for text in texts if text))[:MAX_TEXT]


def _unless_place(reference: str) -> str:
    return "" if _PLACE.fullmatch(reference) else reference


def _amount(node: _Node | None, pointer: str) -> tuple[Decimal, str]:
    if node is None:
        raise InvalidInput.at(pointer, "is missing")
    text, currency = node.text.strip().removeprefix("+"), node.attributes.get("Ccy", "")
    if not _AMOUNT.fullmatch(text):
        raise InvalidInput.at(pointer, "must be an amount, such as 42.00")
    if currency not in CURRENCY_DECIMALS:
        raise InvalidInput.at(pointer, "must have the code of a currency as Ccy")
    amount = Decimal(text)
    if amount != round(amount, CURRENCY_DECIMALS[currency]):
        raise InvalidInput.at(pointer, f"{plain(amount)} has more decimals than {currency}")
    return amount, currency


def _direction(text: str, pointer: str) -> Direction:
    if text == "CRDT":
        return "credit"
    if text == "DBIT":
        return "debit"
    raise InvalidInput.at(pointer, "must be CRDT or DBIT")


def _day(node: _Node, paths: tuple[str, ...], pointer: str) -> date | None:
    text = node.said(*paths)
    if not text:
        return None
    found = _DAY.match(text)
    try:
        return date.fromisoformat(found.group() if found else "")
    except ValueError:
        raise InvalidInput.at(pointer, "must be a date, such as 2026-11-05") from None

"""Bank statements as banks write them: CAMT.053 of several versions, and CSV."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

IBAN = "FR7630006000011234567890189"


@dataclass
class Booking:
    """A movement; `details` is what stands in its TxDtls beside what the other fields say."""

    amount: str
    text: str = ""
    reference: str = ""
    name: str = ""
    end_to_end: str = "NOTPROVIDED"
    servicer: str = ""
    entry: str = ""
    debit: bool = False
    reversal: bool = False
    return_code: str = ""
    day: str = "2026-11-05"
    currency: str = "EUR"
    status: str = "BOOK"
    parts: list[Booking] = field(default_factory=list)


def camt053(*bookings: Booking, version: str = "08", id: str = "STMT-1", account: str = IBAN) -> bytes:
    """One statement; from version 04 on names stand in Pty, from 08 on the status in Cd."""
    entries = "".join(_entry(one, version) for one in bookings)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{id}</MsgId><CreDtTm>2026-11-06T06:00:00+01:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{id}</Id><CreDtTm>2026-11-06T06:00:00+01:00</CreDtTm>"
        f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f'<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">0.00</Amt>'
        f"<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-05</Dt></Dt></Bal>{entries}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def _entry(one: Booking, version: str) -> str:
    status = f"<Cd>{one.status}</Cd>" if version >= "08" else one.status
    details = "".join(_details(part, version, many=bool(one.parts)) for part in one.parts or [one])
    return (
        f'<Ntry>{_tag("NtryRef", one.entry)}<Amt Ccy="{one.currency}">{one.amount}</Amt>'
        f"<CdtDbtInd>{'DBIT' if one.debit else 'CRDT'}</CdtDbtInd>{'<RvslInd>true</RvslInd>' if one.reversal else ''}"
        f"<Sts>{status}</Sts><BookgDt><Dt>{one.day}</Dt></BookgDt><ValDt><DtTm>{one.day}T00:00:00+01:00</DtTm></ValDt>"
        f"{_tag('AcctSvcrRef', one.servicer)}<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def _details(one: Booking, version: str, *, many: bool) -> str:
    name = _tag("Nm", one.name)
    party = f"<Pty>{name}</Pty>" if version >= "08" else name
    amount = f'<Amt Ccy="{one.currency}">{one.amount}</Amt>' if many else ""
    structured = f"<Strd><CdtrRefInf><Ref>{one.reference}</Ref></CdtrRefInf></Strd>" if one.reference else ""
    returned = f"<RtrInf><Rsn><Cd>{one.return_code}</Cd></Rsn></RtrInf>" if one.return_code else ""
    return (
        f"<TxDtls><Refs>{_tag('AcctSvcrRef', one.servicer) if many else ''}<EndToEndId>{one.end_to_end}</EndToEndId>"
        f"</Refs>{amount}<RltdPties><Dbtr>{party}</Dbtr></RltdPties><RmtInf>{_tag('Ustrd', one.text)}{structured}"
        f"</RmtInf>{returned}</TxDtls>"
    )


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""

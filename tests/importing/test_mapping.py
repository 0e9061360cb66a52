"""Rows into events: what a mapping says, and the dirt that real files hold."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.domain.errors import InvalidInput
from app.importing.mapping import UnmappableRow, map_row
from app.importing.mapping_file import load_mapping
from app.importing.rows import Row, UnreadableRow, UsageFile

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"

SESSIONS = """
source: /garage
type: charging.session.ended
id: session
time: {column: start, zone: Europe/Paris}
subject: {column: company}
data:
  kwh: {column: kwh}
"""


def mapping_of(folder: Path, text: str, **tables: str):
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content)
    path = folder / "mapping.yaml"
    path.write_text(text)
    return load_mapping(path)


def events_of(mapping, **row: Any) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in map_row(mapping, Row(1, row))]


def read(path: Path, mapping) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """All events of a file, numbers as Decimal, and what could not be mapped by row number."""
    events, faults = [], []
    with UsageFile(path, mapping.layout, columns_needed=mapping.columns_needed) as file:
        for row in file:
            try:
                if isinstance(row, UnreadableRow):
                    raise UnmappableRow(row.reason)
                events += [json.loads(event.body, parse_float=Decimal) for event in map_row(mapping, row)]
            except UnmappableRow as fault:
                faults.append((row.number, str(fault)))
    return events, faults


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here: it may not be committed, so this test runs where the shared data lie")
    return path


# --- the grammar -----------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_cloud_event(tmp_path):
    """Local time in Paris becomes UTC; a cell stays the text it is, with every digit."""
    mapping = mapping_of(tmp_path, SESSIONS)

    assert events_of(mapping, session="s-1", start="2026-11-01 09:00", company="acme", kwh="7.2500000000000001") == [
        {
            "specversion": "1.0",
            "id": "s-1",
            "source": "/garage",
            "type": "charging.session.ended",
            "subject": "acme",
            "time": "2026-11-01T08:00:00Z",
            "data": {"kwh": "7.2500000000000001"},
        }
    ]


def test_numbers_keep_their_digits(tmp_path):
    """`as: number` writes the digits of the file; so does a constant. 0.10 stays 0.10 and 16 decimals stay 16."""
    mapping = mapping_of(
        tmp_path, SESSIONS + "  exact: {column: kwh, as: number}\n  price: 0.10\n  on: true\n  no: no\n"
    )

    row = {"session": "1", "start": "2026-11-01", "company": "a", "kwh": " 3.1400000000000001 "}

    (event,) = map_row(mapping, Row(1, row))

    assert b'"exact":3.1400000000000001,"price":0.10,"on":true,"no":"no"' in event.body


@pytest.mark.parametrize("cell", ["", "NULL", "NA", "-", "1,5", "+1", "01", ".5", "1.", "0x1F", "NaN", "Infinity"])
def test_what_is_no_number_is_a_fault_of_its_row(tmp_path, cell):
    mapping = mapping_of(tmp_path, SESSIONS + "  exact: {column: kwh, as: number}\n")

    with pytest.raises(UnmappableRow, match=r"data\.exact: 'kwh' is .*, which is not a number"):
        events_of(mapping, session="1", start="2026-11-01", company="a", kwh=cell)


def test_an_id_made_of_columns_tells_rows_apart(tmp_path):
    """("a", "b|c") and ("a|b", "c") are two keys: the separator is escaped inside a part."""
    mapping = mapping_of(tmp_path, SESSIONS.replace("id: session", "id: [session, company, {text: energy}]"))
    ids = [
        events_of(mapping, session=one, company=two, start="2026-11-01", kwh="1")[0]["id"]
        for one, two in (("a", "b|c"), ("a|b", "c"), ("a", "b"))
    ]

    assert ids == ["a|b%7Cc|energy", "a%7Cb|c|energy", "a|b|energy"]


def test_a_long_id_is_cut_and_hashed(tmp_path):
    """Two keys of 400 characters that differ in the last: 241 characters each, and still different."""
    mapping = mapping_of(tmp_path, SESSIONS)
    ids = {
        events_of(mapping, session="x" * 399 + end, company="a", start="2026-11-01", kwh="1")[0]["id"] for end in "ab"
    }

    assert len(ids) == 2 and {len(text) for text in ids} == {241}


def test_a_row_may_give_several_events(tmp_path):
    """Input and output tokens of one call are two events, each with its own id, type and data."""
    mapping = mapping_of(
        tmp_path,
        """
source: /llm
time: {column: TIMESTAMP, zone: UTC}
subject: code
events:
  - {id: [TIMESTAMP, {text: in}], type: tokens.in, data: {tokens: {column: ContextTokens, as: number}}}
  - id: [TIMESTAMP, {text: out}]
    type: tokens.out
    when: {column: GeneratedTokens, not_equals: 0}
    data: {tokens: {column: GeneratedTokens, as: number}}
""",
    )

    both = events_of(mapping, TIMESTAMP="2023-11-16 18:17:03.9799600", ContextTokens="4808", GeneratedTokens="10")
    one = events_of(mapping, TIMESTAMP="2023-11-16 18:17:03.9799600", ContextTokens="4808", GeneratedTokens="0")

    assert [(e["type"], e["data"]["tokens"]) for e in both] == [("tokens.in", 4808), ("tokens.out", 10)]
    assert [e["type"] for e in one] == ["tokens.in"]
    assert both[0]["time"] == "2023-11-16T18:17:03.97996Z"


def test_two_events_of_a_row_with_one_id_are_a_fault(tmp_path):
    """They would be told apart only by the service, as a conflict."""
    mapping = mapping_of(tmp_path, SESSIONS + "events: [{type: a}, {type: b}]\n")

    with pytest.raises(UnmappableRow, match="same id"):
        events_of(mapping, session="1", start="2026-11-01", company="a", kwh="1")


def test_conditions_decide_whether_an_event_is_made(tmp_path):
    """Conditions beside `events` and inside add up; of a list any value will do; `True` is the text of the file."""
    mapping = mapping_of(
        tmp_path,
        SESSIONS + "when: {column: claimed, equals: True}\n"
        "events: [{when: [{column: state, equals: [ok, done]}, {column: kwh, not_equals: ''}]}]\n",
    )
    row = {"session": "1", "start": "2026-11-01", "company": "a", "kwh": "1", "claimed": "True", "state": "done"}

    assert len(events_of(mapping, **row)) == 1
    for change in ({"claimed": "False"}, {"state": "void"}, {"kwh": ""}):
        assert events_of(mapping, **{**row, **change}) == []


def test_a_lookup_gives_the_tenant_of_a_station(tmp_path):
    """Station 9 belongs to acme; 10 is not in the table: a fault, or the default where there is one."""
    lookup = "{column: company, file: owners.csv, key: station, value: owner%s}"
    owners = "station,owner\n9,acme\n"
    strict = mapping_of(tmp_path, SESSIONS.replace("{column: company}", f"{{lookup: {lookup % ''}}}"), owners=owners)
    row = {"session": "1", "start": "2026-11-01", "kwh": "1"}

    assert events_of(strict, company="9", **row)[0]["subject"] == "acme"
    with pytest.raises(UnmappableRow, match=r"subject: owners\.csv has no row for 'company' = '10'"):
        events_of(strict, company="10", **row)

    with_default = lookup % ", default: nobody"
    lenient = mapping_of(tmp_path, SESSIONS.replace("{column: company}", f"{{lookup: {with_default}}}"), owners=owners)
    assert events_of(lenient, company="10", **row)[0]["subject"] == "nobody"


def test_json_lines_keep_their_values_and_reach_into_objects(tmp_path):
    """A number keeps its text (1.10, 1E2), a path reads inside an object, null is no text."""
    mapping = mapping_of(
        tmp_path,
        """
source: /app
id: n
type: {column: kind}
time: $.at.utc
subject: {column: $.who.key}
data: {amount: {column: amount}, all: {column: who}}
""",
    )
    path = tmp_path / "usage.jsonl.gz"
    lines = [
        '{"n": 1, "kind": "a", "at": {"utc": "2026-01-01T00:00:00Z"}, "who": {"key": "acme", "x": [1.10, null]}, '
        '"amount": 1E2}',
        '{"n": 2, "kind": null, "at": {"utc": "2026-01-01T00:00:00Z"}, "who": {"key": "acme"}, "amount": 1}',
        "",
        '{"n": 3, "kind": "a", "at": {}, "who": {"key": "acme"}, "amount": 1}',
        '[{"n": 4}]',
        '{"n": 5, "amount": NaN}',
        '{"n": 6, "kind": "\\ud800", "at": {"utc": "2026-01-01T00:00:00Z"}, "who": {"key": "acme"}, "amount": 1}',
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))

    events, faults = read(path, mapping)

    assert [(e["id"], e["data"]) for e in events] == [
        ("1", {"amount": Decimal(100), "all": {"key": "acme", "x": [Decimal("1.10"), None]}})
    ]
    assert [number for number, _ in faults] == [2, 3, 4, 5, 6]
    assert "type: 'kind' is null" in faults[0][1] and "no '$.at.utc'" in faults[1][1]
    assert "line 5 cannot be read as JSON: not a JSON object" in faults[2][1] and "UTF-8" in faults[4][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("id: session", "ids: session"), r"line 4, ids: is not a known key; known here: `format`, .* and `when`"),
        (("id: session", ""), r"the top level: `id` is missing"),
        (("{column: kwh}", "{colum: kwh}"), r"data\.kwh\.colum: is not a known key"),
        (("{column: kwh}", "{column: kwh, text: x}"), r"data\.kwh: must have exactly one of"),
        (("{column: kwh}", "{columns: [kwh], unit: hours}"), r"data\.kwh\.unit: has no place beside `columns`"),
        (("{column: kwh}", "{column: kwh, as: float}"), r"data\.kwh\.as: must be `text` or `number`, not 'float'"),
        (("{column: kwh}", "{elapsed: [start], unit: hours}"), r"data\.kwh\.elapsed: must be a list of two"),
        (("{column: kwh}", "{elapsed: [start, end]}"), r"`unit` is missing"),
        (("{column: kwh}", "{elapsed: [start, end], unit: days}"), r"must be `hours` or `seconds`"),
        (("{column: kwh}", ""), r"data\.kwh: must be a text, a number, true or false"),
        (("Europe/Paris", "Europe/Pariss"), r"time\.zone: .*Europe/Paris"),
        (("zone:", "format: '%Y-%m-%d %Z', zone:"), r"time\.format: %Z cannot be read reliably"),
        (("zone:", "format: '%Q', zone:"), r"time\.format: is not a strptime pattern"),
        (("zone:", "format: ISO, zone:"), r"time\.format: must be iso8601 or a strptime pattern"),
        (
            ("{column: company}", "{lookup: {column: a, file: none.csv, key: b, value: c}}"),
            r"none\.csv cannot be opened",
        ),
        (("{column: company}", "{lookup: {column: a, key: b, value: c}}"), r"subject\.lookup: `file` is missing"),
        (("type:", "type: again\ntype:"), r"type: stands here twice"),
        (("source: /garage", "source: [a"), r"is not YAML"),
        (("source: /garage", "when: {column: a, equals: 1, not_equals: 2}\nsource: /garage"), r"either `equals` or"),
        (("source: /garage", "delimiter: ab\nsource: /garage"), r"delimiter: must be one character"),
        (("source: /garage", "events: []\nsource: /garage"), r"events: must be a list with at least one item"),
        (("column: start,", "column: $.a..b,"), r"time\.column: not a path"),
    ],
)
def test_a_fault_in_a_mapping_names_file_line_path_and_remedy(tmp_path, change, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        mapping_of(tmp_path, SESSIONS.replace(change[0], change[1], 1))

    assert str(tmp_path / "mapping.yaml") in caught.value.detail


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("station,owner\n9,acme\n9,other\n", "gives two values for '9'"),
        ("station,holder\n9,acme\n", "has no such column; it has station, holder"),
        ("station,owner\n9\n", "row 1 of the table .* has 1 fields where the header has 2"),
    ],
)
def test_a_lookup_table_that_cannot_be_used_is_a_fault_of_the_mapping(tmp_path, table, message):
    text = SESSIONS.replace("{column: company}", "{lookup: {column: c, file: t.csv, key: station, value: owner}}")

    with pytest.raises(InvalidInput, match=message):
        mapping_of(tmp_path, text, t=table)


def test_the_digest_covers_the_tables(tmp_path):
    """Another owner in the table makes other events, so an interrupted import must not go on from its state."""
    text = SESSIONS.replace("{column: company}", "{lookup: {column: c, file: t.csv, key: a, value: b}}")

    digests = {mapping_of(tmp_path, text, t=f"a,b\n1,{owner}\n").digest for owner in ("x", "y", "x")}

    assert len(digests) == 2


# --- dirt in rows ----------------------------------------------------------------------------------------------------


def test_a_column_that_the_file_lacks_stops_the_import_at_once(tmp_path):
    mapping = mapping_of(tmp_path, SESSIONS)
    path = tmp_path / "usage.csv"
    path.write_text("session,start,company,KWH \n1,2026-01-01,acme,2\n")

    with pytest.raises(
        InvalidInput, match=r"has no column 'kwh', which the mapping names at data\.kwh\.column.*'KWH '\."
    ):
        read(path, mapping)


@pytest.mark.parametrize(("delimiter", "written"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_another_delimiter_is_named_where_a_file_looks_like_it(tmp_path, delimiter, written):
    """A spreadsheet in French or German separates by semicolons; with the line that is named, the file is read."""
    path = tmp_path / "usage.csv"
    path.write_text("session,start,company,kwh\n1,2026-01-01,acme,2\n".replace(",", delimiter))

    with pytest.raises(InvalidInput) as caught:
        read(path, mapping_of(tmp_path, SESSIONS))
    line = f'delimiter: "{written}"'
    assert f"It looks separated by '{written}': write `{line}` in the mapping." in caught.value.detail
    assert len(read(path, mapping_of(tmp_path, SESSIONS + line))[0]) == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_in_utf_16_is_said_to_be_one(tmp_path, encoding, pack):
    path = tmp_path / "usage.csv"
    path.write_bytes(pack("\ufeffsession,start,company,kwh\n".encode(encoding)))

    with pytest.raises(InvalidInput, match=r"is not UTF-8 \(UTF-16\?\): `iconv -f UTF-16 -t UTF-8`"):
        read(path, mapping_of(tmp_path, SESSIONS))


def test_a_column_name_in_latin_1_is_said_to_be_one(tmp_path):
    path = tmp_path / "usage.csv"
    path.write_bytes("session,start,société,kwh\n".encode("latin-1"))

    with pytest.raises(InvalidInput, match=r"The header is not UTF-8 \(LATIN1\?\): `iconv") as caught:
        read(path, mapping_of(tmp_path, SESSIONS.replace("company", "société")))
    assert caught.value.detail.encode()  # it can be printed


def test_rows_that_cannot_be_read_are_faults_and_their_neighbours_are_read_on(tmp_path):
    """A BOM, Windows line ends, an empty line, a short row, bytes of another encoding, a quote never closed."""
    mapping = mapping_of(tmp_path, SESSIONS)
    path = tmp_path / "usage.csv"
    path.write_bytes(
        b"\xef\xbb\xbfsession,start,company,kwh\r\n"
        b"1,2026-01-01,acme,1\r\n"
        b"\r\n"
        b"2,2026-01-01,acme\r\n"
        b"3,2026-01-01,caf\xe9,3\r\n"
        b'4,2026-01-01,"two\r\nlines",4\r\n'
        b'5,2026-01-01,"acme" x,5\r\n'
        b"6,2026-01-01,acme,6\r\n"
        b'7,2026-01-01,"acme,7\r\n'
    )

    events, faults = read(path, mapping)

    assert [e["id"] for e in events] == ["1", "4", "6"]
    assert [number for number, _ in faults] == [2, 3, 5, 7]
    assert (
        "3 fields where the header has 4" in faults[0][1] and "'company' is not UTF-8 (LATIN1?): `iconv" in faults[1][1]
    )
    assert "cannot be read as CSV" in faults[2][1] and "cannot be read as CSV" in faults[3][1]


def test_a_file_that_breaks_off_hands_out_its_good_rows_first(tmp_path):
    mapping = mapping_of(tmp_path, SESSIONS)
    path = tmp_path / "usage.csv.gz"
    whole = gzip.compress(b"session,start,company,kwh\n" + b"".join(b"%d,2026-01-01,a,1\n" % n for n in range(50_000)))
    path.write_bytes(whole[: len(whole) // 2])
    seen: list[int] = []

    with (
        pytest.raises(InvalidInput, match=r"cannot be read past row \d+: .* Is the file whole"),
        UsageFile(path, mapping.layout, columns_needed=mapping.columns_needed) as file,
    ):
        seen.extend(row.number for row in file)

    assert len(seen) > 1_000


# --- real files ------------------------------------------------------------------------------------------------------


def test_the_charging_example_maps_every_session_once():
    """3,177 events from September to December in Pasadena; the claimed ones sum to 27447.1151569563792904 kWh."""
    folder = ROOT / "examples"
    mapping = load_mapping(folder / "charging" / "mapping.yaml")
    path = folder / "data" / "acn_caltech_2019-09_2019-12.csv.gz"

    events, faults = read(path, mapping)

    with gzip.open(path, "rt", newline="") as file:
        source = list(csv.DictReader(file))
    kwh = sum(Decimal(e["data"]["kwh"]) for e in events if e["subject"] != "unclaimed")
    tenants = Counter(e["subject"] for e in events)
    assert (len(events), len({e["id"] for e in events}), faults) == (3177, 3177, [])
    assert kwh == sum(Decimal(r["delivered_energy (kWh)"]) for r in source if r["claimed"] == "True")
    assert kwh == Decimal("27447.1151569563792904")
    assert (tenants["unclaimed"], len(tenants)) == (541, 13)
    assert {e["data"]["station"] for e in events} == {e["resource"] for e in events}
    assert events[0]["time"] == "2019-09-01T16:56:18Z" and events[0]["data"]["connected_hours"] == "0.655555555556"
    assert all("2019-09-01T07:00:00Z" <= e["time"] < "2020-01-01T08:00:00Z" for e in events)


def test_the_charging_example_names_only_what_its_catalog_has():
    """12 companies, all subscribed, hold the 51 stations; each station is equipment of the garage, the operator."""
    folder = ROOT / "examples" / "charging"
    catalog = yaml.safe_load((folder / "catalog.yaml").read_text())
    with (folder / "stations.csv").open(newline="") as file:
        holders = {row["station_id"]: row["tenant"] for row in csv.DictReader(file)}

    operators = [key for key, tenant in catalog["tenants"].items() if tenant.get("operator")]
    assert operators == ["pasadena-garage"] and len(holders) == 51
    assert set(holders.values()) == set(catalog["tenants"]) - set(operators)
    assert {item["tenant"] for item in catalog["subscriptions"].values()} == set(holders.values())
    assert catalog["resources"].keys() == holders.keys()
    assert {(r["kind"], r["owner"]) for r in catalog["resources"].values()} == {("equipment", "pasadena-garage")}


def test_the_year_0014_is_reported_or_read_by_a_pattern(tmp_path):
    """Every one of 3,395 rows writes 0014 or 0015; read by a pattern, the sum is the file's 19723.69 kWh."""
    path = shared("ev_workplace_sessions.csv")
    text = """
source: /work
type: session
id: sessionId
time: {column: created, zone: America/New_York%s}
subject: {column: userId}
data: {kwh: {column: kwhTotal, as: number}, hours: {elapsed: [created, ended], unit: hours}}
"""
    pattern = ", format: '00%y-%m-%d %H:%M:%S'"

    _, faults = read(path, mapping_of(tmp_path, text % ""))
    events, none = read(path, mapping_of(tmp_path, text % pattern))

    assert len(faults) == 3395 and "before 1970" in faults[0][1]
    assert (len(events), none) == (3395, [])
    assert sum(Decimal(e["data"]["kwh"]) for e in events) == Decimal("19723.69")


MONTHS = """name,number
JAN,1\nFEB,2\nMAR,3\nAPR,4\nMAI,5\nJUN,6\nJUL,7\nAUG,8\nSEP,9\nOKT,10\nNOV,11\nDEC,12\nDEZ,12
"""
MONTH_NUMBER = "{lookup: {column: month, file: months.csv, key: name, value: number}}"
WASHES = """
source: /dorm
type: slot
id: [pseudonym, machine, day, month, year, start_time]
time: &start
  column: [day, %s, year, start_time]
  format: "%%d %s %%Y %%H:%%M"
  zone: Europe/Berlin
subject: {column: pseudonym}
resource: {columns: [{text: washer}, machine]}
data:
  hours:
    elapsed: [*start, {column: [day, %s, year, end_time]}]
    unit: hours
    wraps_midnight: true
"""


def test_german_months_are_reported_or_come_from_a_table(tmp_path):
    """MAI, OKT and DEZ are no English months: their 463 rows are reported. A table of month names reads them all."""
    path = shared("dorm_washing_machines.csv")

    _, faults = read(path, mapping_of(tmp_path, WASHES % ("month", "%b", "month")))
    events, none = read(path, mapping_of(tmp_path, WASHES % (MONTH_NUMBER, "%m", MONTH_NUMBER), months=MONTHS))

    assert len(faults) == 245 + 191 + 27 and "is not written as %d %b %Y %H:%M" in faults[0][1]
    assert (len(events), none) == (2346, [])
    assert len({e["id"] for e in events}) == 2346
    assert Counter(e["resource"] for e in events) == {"washer-1": 1194, "washer-2": 1152}


def test_slots_that_end_at_midnight_are_as_long_as_the_file_says(tmp_path):
    """13 slots end at 0:00; all elapsed hours, rounded to the file's two decimals, are the file's own durations."""
    path = shared("dorm_washing_machines.csv")
    text = (
        WASHES % (MONTH_NUMBER, "%m", MONTH_NUMBER) + "  said: {column: 'duration(in h)'}\n  end: {column: end_time}\n"
    )

    events, _ = read(path, mapping_of(tmp_path, text, months=MONTHS))

    assert sum(e["data"]["end"] == "0:00" for e in events) == 13
    assert [
        e["id"] for e in events if abs(Decimal(e["data"]["hours"]) - Decimal(e["data"]["said"])) > Decimal("0.005")
    ] == []


def test_offsets_without_a_colon_keep_the_repeated_hour_apart(tmp_path):
    """Room 917810 on 30 October 2022: 02:10+0200 is 00:10 UTC, 02:10+0100 is 01:10 UTC: no minute is there twice."""
    path = shared("office_room_917810_raw_properties.csv.gz")
    mapping = mapping_of(
        tmp_path,
        """
source: /rooms
type: presence
id: [id, source, timestamp]
time: timestamp
subject: {column: id}
data: {occupied: {column: occupancy__bool, as: number}}
when: [{column: source, equals: bms}, {column: occupancy__bool, not_equals: ""}]
""",
    )

    events, faults = read(path, mapping)

    assert (len(events), faults) == (34_446, [])
    assert len({e["time"] for e in events}) == 34_446


def test_an_access_log_is_read_as_columns_and_its_broken_line_reported(tmp_path):
    """Space-separated, quoted, no header: 2,747,282,505 bytes; `-` bytes give no event. The line that breaks off inside
    a quote takes the next one with it, and both are named."""
    path = shared("apache_access_log.log.gz")
    mapping = mapping_of(
        tmp_path,
        """
format: csv
delimiter: " "
columns: [client, identity, user, at, offset, request, status, bytes, referrer, agent]
source: /log
type: request
id: [client, at, request, status, bytes, agent]
time: {column: [at, offset], format: "[%d/%b/%Y:%H:%M:%S %z]"}
subject: {column: client}
data: {bytes: {column: bytes, as: number}}
when: {column: bytes, not_equals: "-"}
""",
    )

    events, faults = read(path, mapping)

    assert (len(events), sum(e["data"]["bytes"] for e in events)) == (9_330, 2_747_282_505)
    assert [number for number, _ in faults] == [8_899]
    assert "lines 8899 to 8900 cannot be read as CSV" in faults[0][1]

"""Thresholds that are crossed are noticed by themselves, each once, and can be asked for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from app.operations.check_alerts import check_alerts
from app.operations.watch_alerts import SWEEP_EVERY, AlertWatch
from app.storage import alert_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from tests.service import ACME, ENERGY, PER_UNIT, Api, event, set_up

QUANTITY = {"tenant": "acme", "measure": "quantity", "meter": "energy", "thresholds": ["80", "100"]}


def use(api: Api, kwh: str, *, id: str = "", day: str = "2026-11-10", subject: str = "acme") -> None:
    made = event(id or f"{day}-{kwh}-{subject}", subject=subject, time=f"{day}T10:00:00Z")
    assert api.post("/v1/events", made | {"data": {"kwh": kwh, "station": "12"}})["accepted"] == 1


def database_of(api: Api) -> Database:
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    return database


def look(api: Api) -> None:
    """Looks now, beside the worker that does so by itself: of two that notice the same, one writes it down."""
    cache: CatalogCache = api.client.app.state.catalog  # type: ignore[attr-defined]
    watch = AlertWatch(database_of(api), cache, holder="test", lease_seconds=1)
    watch.note(api.clock())
    deadline = time.monotonic() + 20
    while database_of(api).read(alert_store.waiting_since) is not None:
        assert time.monotonic() < deadline
        watch.look(api.clock())
        time.sleep(0.02)


def crossings(api: Api, **query: Any) -> list[Any]:
    found: list[Any] = api.get("/v1/alert-events", **query)["data"]
    return found


def noticed(api: Api, **query: Any) -> list[tuple[str, str]]:
    look(api)
    found = crossings(api, **query)
    return [(item["threshold"], item["value"]) for item in sorted(found, key=lambda item: Decimal(item["threshold"]))]


def test_a_crossing_is_noticed_by_itself_within_seconds(api: Api) -> None:
    """Nobody but the service's own worker looks here."""
    set_up(api, [PER_UNIT])
    shown = api.put("/v1/alerts/acme-energy", QUANTITY)
    assert shown == QUANTITY | {"key": "acme-energy", "plan": None, "charge": None, "percent_of": None,
                                "recurring": True, "enabled": True}  # fmt: skip
    use(api, "85")
    began = time.monotonic()
    while not (found := crossings(api)):
        assert time.monotonic() - began < 15
        time.sleep(0.05)
    [one] = found
    assert one.pop("id").startswith("ae_")
    assert one == {
        "alert": "acme-energy", "tenant": "acme", "subscription": "acme-1", "measure": "quantity", "meter": "energy",
        "charge": None, "threshold": "80", "percent_of": None, "value": "85", "base": None, "unit": "kWh",
        "period": {"start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"},
        "noticed_at": "2026-11-23T12:00:00Z", "receded_at": None,
    }  # fmt: skip


def test_each_threshold_is_noticed_once_in_each_period(api: Api) -> None:
    """85, then 90, then 130 kWh in November; 200 at once in December."""
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY)
    for kwh, found in (("85", [("80", "85")]), ("5", [("80", "85")]), ("40", [("80", "85"), ("100", "130")])):
        use(api, kwh)
        assert noticed(api) == found
    api.clock.set("2026-12-02T00:00:00+00:00")
    use(api, "200", day="2026-12-01")
    assert noticed(api, start="2026-12-01") == [("80", "200"), ("100", "200")]
    assert len(crossings(api)) == 4


def test_what_is_to_be_noticed_once_is_not_noticed_in_the_next_period(api: Api) -> None:
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY | {"recurring": False, "thresholds": ["80"]})
    use(api, "85")
    assert noticed(api) == [("80", "85")]
    api.clock.set("2026-12-02T00:00:00+00:00")
    use(api, "90", day="2026-12-01")
    assert noticed(api) == [("80", "85")]


def test_an_amount_of_a_charge_of_a_meter_and_of_all(api: Api) -> None:
    """100 kWh at 0.30 are 30.00; with the 19.00 for access the period comes to 49.00."""
    access = {"key": "access", "model": {"type": "flat", "amount": "19.00"}}
    set_up(api, [PER_UNIT, access])
    amount = {"tenant": "acme", "measure": "amount"}
    api.put("/v1/alerts/all", amount | {"thresholds": ["40", "60"]})
    api.put("/v1/alerts/energy", amount | {"thresholds": ["30"], "charge": "energy"})
    api.put("/v1/alerts/meter", amount | {"thresholds": ["29.99", "31"], "meter": "energy"})
    api.put("/v1/alerts/other", amount | {"thresholds": ["0"], "charge": "parking"})
    use(api, "100")
    look(api)
    found = {(item["alert"], item["threshold"], item["value"], item["unit"]) for item in crossings(api)}
    assert found == {("all", "40", "49", "EUR"), ("energy", "30", "30", "EUR"), ("meter", "29.99", "30", "EUR")}


def test_an_amount_leaves_out_what_is_free_for_charges_together(api: Api) -> None:
    """Of 130 kWh at 0.30 100 are in a shared allowance, which leaves 9.00, and a coupon of half takes 4.50: with the
    19.00 for access, of which it takes nothing, 23.50. The plan's minimum of 50.00 is no use of anything yet."""
    access = {"key": "access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"}
    shared = [{"key": "pot", "quantity": "100", "charges": ["energy"]}]
    set_up(api, [PER_UNIT, access], allowances=shared, minimum="50.00")
    api.put("/v1/coupons/half", {"name": "Half", "percent": "50", "charges": ["energy"]})
    api.post("/v1/applied-coupons", {"coupon": "half", "tenant": "acme"})
    amount = {"tenant": "acme", "measure": "amount"}
    api.put("/v1/alerts/all", amount | {"thresholds": ["20", "24"]})
    api.put("/v1/alerts/energy", amount | {"thresholds": ["1", "5"], "charge": "energy"})
    use(api, "130")
    assert noticed(api, alert="all") == [("20", "23.5")]
    assert noticed(api, alert="energy") == [("1", "4.5")]


def test_an_amount_as_a_percentage_of_what_is_committed(api: Api) -> None:
    """Of 50.00 committed a month 30.00 are spent after 100 kWh at 0.30: 60 %, and 80 % after 134, which are 40.20."""
    set_up(api, [PER_UNIT], commitment={"amount": "50.00"})
    wish = {"tenant": "acme", "measure": "amount", "thresholds": ["60", "80"], "percent_of": "commitment"}
    api.put("/v1/alerts/a", wish)
    use(api, "100")
    assert noticed(api) == [("60", "30")]
    use(api, "34")
    assert noticed(api) == [("60", "30"), ("80", "40.2")]
    assert {item["base"] for item in crossings(api)} == {"50"}


def test_what_is_left_of_an_allowance(api: Api) -> None:
    """Of 100 free kWh 20 are left after 80: that is 20 %, and below 25. A charge without allowance has no balance."""
    set_up(api, [PER_UNIT | {"allowance": "100"}, {"key": "n", "meter": "sessions", "model": PER_UNIT["model"]}])
    balance = {"tenant": "acme", "measure": "balance"}
    api.put("/v1/alerts/left", balance | {"meter": "energy", "thresholds": ["25", "0"]})
    api.put("/v1/alerts/percent", balance | {"meter": "energy", "thresholds": ["20"], "percent_of": "allowance"})
    api.put("/v1/alerts/none", balance | {"meter": "sessions", "thresholds": ["5"]})
    use(api, "80")
    look(api)
    found = {(item["alert"], item["threshold"], item["value"], item["base"]) for item in crossings(api)}
    assert found == {("left", "25", "20", None), ("percent", "20", "20", "100")}
    use(api, "20.5")
    assert ("0", "0") in noticed(api, alert="left")


def test_what_is_left_of_prepaid_money_and_units(api: Api) -> None:
    """20.00 are under 25.00 at once. Of 60 prepaid kWh 15 are left after 45."""
    set_up(api, [PER_UNIT])
    balance = {"tenant": "acme", "measure": "balance"}
    api.put("/v1/alerts/money", balance | {"thresholds": ["25", "10"]})
    api.put("/v1/alerts/units", balance | {"thresholds": ["20"], "meter": "energy"})
    look(api)
    assert crossings(api) == []
    grant = {"tenant": "acme", "kind": "prepaid", "amount": "20.00"}
    api.post("/v1/credit-grants", grant)
    api.post("/v1/credit-grants", grant | {"kind": "units", "amount": "60", "meter": "energy"})
    use(api, "45")
    look(api)
    found = {(item["alert"], item["threshold"], item["value"], item["unit"]) for item in crossings(api)}
    assert found == {("money", "25", "20", "EUR"), ("units", "20", "15", "kWh")}


def test_an_alert_on_a_plan_watches_all_its_tenants_by_what_each_has(api: Api) -> None:
    """90 % of the limit: 90 of 100 for acme, 180 of its own 200 for borealis, and nothing for who has none."""
    set_up(api, [PER_UNIT | {"limit": "100"}])
    body = {"plan": "standard", "start": "2026-09-01"}
    for key, own in (("borealis", {"limit": "200"}), ("cedar", {"limit": None})):
        api.put(f"/v1/tenants/{key}", ACME | {"name": key, "subjects": []})
        overrides = {"charges": {"energy": own}}
        api.put(f"/v1/subscriptions/{key}-1", body | {"tenant": key, "overrides": overrides})
    wish = {"plan": "standard", "measure": "quantity", "meter": "energy", "thresholds": ["90"], "percent_of": "limit"}
    api.put("/v1/alerts/near", wish)
    for key, kwh in (("acme", "90"), ("borealis", "179"), ("cedar", "5000")):
        use(api, kwh, subject=key)
    look(api)
    assert [(item["tenant"], item["value"], item["base"]) for item in crossings(api)] == [("acme", "90", "100")]
    use(api, "1", subject="borealis")
    look(api)
    assert [(item["tenant"], item["value"]) for item in crossings(api)] == [("acme", "90"), ("borealis", "180")]


def test_a_cancelled_event_leaves_the_crossing_noticed_and_says_that_it_receded(api: Api) -> None:
    """85 kWh, cancelled; 20 are no news, 90 bring the value back, and are no second crossing."""
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY)
    use(api, "85", id="wrong")
    assert noticed(api) == [("80", "85")]
    api.clock.set("2026-11-23T13:00:00+00:00")
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "wrong"})
    look(api)
    assert [item["receded_at"] for item in crossings(api)] == ["2026-11-23T13:00:00Z"]
    use(api, "20")
    assert noticed(api) == [("80", "85")]
    use(api, "70")
    assert noticed(api) == [("80", "85")]
    assert [item["receded_at"] for item in crossings(api)] == [None]


def test_what_is_beyond_already_is_noticed_when_the_alert_is_made(api: Api) -> None:
    set_up(api, [PER_UNIT])
    use(api, "85")
    api.put("/v1/alerts/a", QUANTITY | {"enabled": False})
    assert noticed(api) == []
    api.put("/v1/alerts/a", QUANTITY)
    assert noticed(api) == [("80", "85")]
    api.put("/v1/alerts/a", QUANTITY | {"thresholds": ["70", "80"]})
    assert noticed(api) == [("70", "85"), ("80", "85")]


def test_without_a_subscription_the_use_of_a_calendar_month_is_watched(api: Api) -> None:
    set_up(api)
    api.put("/v1/alerts/a", QUANTITY)
    use(api, "70", day="2026-10-31")
    use(api, "60")
    assert noticed(api) == []
    use(api, "30")
    assert noticed(api) == [("80", "90")]
    assert crossings(api)[0]["subscription"] is None


def test_the_use_of_a_subject_and_of_a_released_event_is_noticed(api: Api) -> None:
    """user-17 is acme's; what came for badge-9 is acme's once acme claims it."""
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY)
    use(api, "85", subject="user-17")
    assert noticed(api) == [("80", "85")]
    aside = event("aside", subject="badge-9", time="2026-11-10T10:00:00Z", data={"kwh": "30", "station": "1"})
    assert api.post("/v1/events", aside)["quarantined"] == 1
    api.put("/v1/tenants/acme", ACME | {"subjects": ["user-17", "badge-9"]})
    assert noticed(api) == [("80", "85"), ("100", "115")]


def test_any_number_of_workers_notice_a_crossing_once(api: Api) -> None:
    """Six look at the same eight tenants at the same time, three times over."""
    set_up(api, [PER_UNIT])
    for number in range(8):
        api.put(f"/v1/tenants/t{number}", ACME | {"name": "T", "subjects": []})
        wish = {"tenant": f"t{number}", "plan": "standard", "start": "2026-09-01"}
        api.put(f"/v1/subscriptions/t{number}-1", wish)
    api.put("/v1/alerts/a", {"plan": "standard"} | {k: v for k, v in QUANTITY.items() if k != "tenant"})
    for number in range(8):
        use(api, "120", subject=f"t{number}")
    database, now = database_of(api), api.clock()
    ids = database.read(lambda connection: alert_store.watched_after(connection, None, limit=100))
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: check_alerts(database, ids, now=now), range(18)))
    look(api)
    assert len(crossings(api)) == 16
    assert sum(made) <= 16


def test_a_lost_note_is_made_good_by_the_sweep(api: Api) -> None:
    """A process that dies between its commit and its note leaves a crossing that nobody was told of."""
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY)
    look(api)
    use(api, "85")
    api.client.app.state.catalog.take_touched()  # type: ignore[attr-defined]
    database = database_of(api)
    watch = AlertWatch(database, CatalogCache(), holder="another", lease_seconds=1)
    api.clock.set((api.clock() + 2 * SWEEP_EVERY).isoformat())
    deadline = time.monotonic() + 20
    while not crossings(api):
        assert time.monotonic() < deadline
        watch.look(api.clock())
        time.sleep(0.05)
    assert noticed(api) == [("80", "85")]


def test_pages_and_filters(api: Api) -> None:
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY | {"thresholds": ["1", "2", "3"]})
    api.put("/v1/alerts/b", QUANTITY | {"thresholds": ["5"]})
    use(api, "9")
    look(api)
    first = api.get("/v1/alert-events", limit=3)
    rest = api.get("/v1/alert-events", limit=3, cursor=first["next_cursor"])
    whole = crossings(api)
    assert (first["data"] + rest["data"], rest["next_cursor"]) == (whole, None)
    assert sorted(item["threshold"] for item in whole) == ["1", "2", "3", "5"]
    assert [item["threshold"] for item in crossings(api, alert="b", tenant="acme")] == ["5"]
    assert crossings(api, start="2026-11-23T12:00:01Z") == crossings(api, end="2026-11-23T12:00:00Z") == []
    assert crossings(api, alert="unheard-of") == []
    assert api.call("GET", "/v1/alert-events?tenant=nobody").status_code == 404
    assert [item["key"] for item in api.get("/v1/alerts", tenant="acme")["data"]] == ["a", "b"]
    assert api.get("/v1/alerts", plan="standard")["data"] == []


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"tenant": "nobody"}, "#/tenant"), ({"meter": "nothing"}, "#/meter"), ({"thresholds": []}, "#/thresholds"),
        ({"thresholds": ["80", "x"]}, "#/thresholds/1"), ({"thresholds": ["80", "80"]}, "#/thresholds/1"),
        ({"measure": "weight"}, "#/measure"), ({"plan": "standard"}, "#/tenant"), ({"surprise": 1}, "#/surprise"),
        ({"tenant": None, "plan": "standard", "measure": "amount", "meter": None, "charge": "parking"}, "#/charge"),
        ({"percent_of": "the moon"}, "#/percent_of"),
    ],
)  # fmt: skip
def test_an_alert_that_makes_no_sense_is_refused_by_name(api: Api, changed: Any, pointer: str) -> None:
    set_up(api, [PER_UNIT])
    answer = api.call("PUT", "/v1/alerts/a", QUANTITY | changed)
    assert (answer.status_code, [item["pointer"] for item in answer.json()["errors"]]) == (422, [pointer])


def test_a_patch_changes_what_it_names(api: Api) -> None:
    set_up(api, [PER_UNIT])
    api.put("/v1/alerts/a", QUANTITY)
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = api.call("PATCH", "/v1/alerts/a", {"thresholds": ["200", "90"], "recurring": False}, headers=headers)
    assert answer.json()["thresholds"] == ["90", "200"]
    assert api.get("/v1/alerts/a")["recurring"] is False
    api.put("/v1/meters/energy", ENERGY)
    use(api, "85")
    assert noticed(api) == []

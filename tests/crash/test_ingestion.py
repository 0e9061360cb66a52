"""Many producers at once, while the catalog changes: every event counts once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from app.storage.database import Database
from app.storage.tables import events as events_table
from app.storage.tables import quarantine, tenants
from tests.crash.running import Server, api, assert_books_are_clean, put, settle, wait_until
from tests.service import ACME, ENERGY, event, set_up

TYPE = "charging.session.ended"
WRITERS = 8


def sessions(subject: str, count: int, *, source: str = "/chargers/12") -> list[Any]:
    """Charging sessions of one subject over two hot hours: session n drew n/8 kWh."""
    return [
        event(
            f"{subject}-{n}", subject=subject, source=source, time=f"2026-10-05T1{n % 2}:{n % 60:02}:00Z",
            data={"kwh": str(Decimal(n) / 8), "station": str(n % 3)},
        )
        for n in range(count)
    ]  # fmt: skip


def drawn(numbers: Iterator[int] | range) -> Decimal:
    return sum((Decimal(n) / 8 for n in numbers), Decimal(0))


def batches(sent: list[Any], rng: random.Random) -> Iterator[list[Any]]:
    """Everything in an order of its own, now and then repeated, in batches of 1 to 120."""
    mixed = sent + rng.sample(sent, len(sent) // 10)
    rng.shuffle(mixed)
    while mixed:
        size = min(len(mixed), rng.choice((1, 7, 40, 120)))
        yield [mixed.pop() for _ in range(size)]


def post(client: httpx.Client, batch: list[Any]) -> Any:
    answer = client.post("/v1/events", json=batch)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    told = sum(body[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected"))
    assert told == len(batch)
    return body


def accepted_ids(batch: list[Any], answer: Any) -> list[str]:
    others = {item["index"] for item in answer["exceptions"]}
    return [sent["id"] for index, sent in enumerate(batch) if index not in others]


def kept_events(database: Database) -> Counter[str]:
    """How many rows there are of each tenant and id, as `tenant id`."""
    query = sa.select(tenants.c.key, events_table.c.id).join(tenants, tenants.c.tenant_id == events_table.c.tenant_id)
    return database.read(lambda connection: Counter(f"{row.key} {row.id}" for row in connection.execute(query)))


def open_copies(database: Database) -> int:
    query = sa.select(sa.func.count()).select_from(quarantine).where(quarantine.c.status == "open")
    return database.read(lambda connection: int(connection.execute(query).scalar_one()))


def cancel(client: httpx.Client, ids: list[str]) -> None:
    """Cancels each, as soon as it is there and no meter of its type is being built."""
    for id in ids:
        body = {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "sent by mistake"}
        wait_until(lambda body=body: _cancelled(client, body), f"{id} to be cancelled")  # type: ignore[misc]


def _cancelled(client: httpx.Client, body: Any) -> bool:
    answer = client.post("/v1/events/cancellations", json=body)
    assert answer.status_code in (200, 404, 503), answer.text
    return answer.status_code == 200


def test_eight_writers_count_every_event_once_while_the_catalog_changes(database_url: str, tmp_path: Path) -> None:
    """Overlapping shuffled batches with repeats; meters, tenants and a subject are added, and events are cancelled.

    acme: 600 sessions n/8 kWh and 60 of its subject user-17, of which 40 are cancelled. bolt and cora are made after
    their events came. dora sends two contents under each of 50 ids: the first of each stays.
    """
    own = sessions("acme", 600)
    aside = sessions("user-17", 60) + sessions("bolt", 200) + sessions("cora", 200) + sessions("van-3", 30)
    torn = [item | {"data": {"kwh": kwh, "station": "1"}} for item in sessions("dora", 50) for kwh in ("1", "2")]
    cancelled = [f"acme-{n}" for n in range(0, 80, 2)]
    accepted: Counter[str] = Counter()
    lock = threading.Lock()

    with ExitStack() as stack:
        servers = [stack.enter_context(Server(database_url, tmp_path / "serve.log"))]
        if database_url.startswith("postgresql"):
            servers.append(stack.enter_context(Server(database_url, tmp_path / "serve-2.log")))
        clients = [stack.enter_context(servers[n % len(servers)].client()) for n in range(WRITERS + 3)]
        set_up(api(clients[-1]))
        put(clients[-1], "/v1/tenants/dora", ACME | {"name": "Dora", "subjects": []})

        def write(number: int) -> None:
            rng = random.Random(number)
            for batch in batches(own + aside + torn, rng):
                ids = accepted_ids(batch, post(clients[number], batch))
                with lock:
                    accepted.update(ids)

        def change_catalog(client: httpx.Client) -> None:
            put(client, "/v1/tenants/bolt", ACME | {"name": "Bolt", "subjects": []})
            put(client, "/v1/meters/peak", ENERGY | {"aggregation": "max", "dimensions": {}})
            put(client, "/v1/resources/garage-1", {"name": "Garage 1", "kind": "equipment", "owner": "garage"})
            put(client, "/v1/meters/latest", ENERGY | {"aggregation": "last"})
            put(client, "/v1/tenants/cora", ACME | {"name": "Cora", "subjects": []})
            put(client, "/v1/meters/energy", ENERGY | {"dimensions": {"charger": "$.station"}})
            put(client, "/v1/tenants/acme", ACME | {"subjects": ["user-17", "van-3"]})
            put(
                client,
                "/v1/meters/stations",
                ENERGY | {"aggregation": "unique", "property": "$.station", "dimensions": {}},
            )

        with ThreadPoolExecutor(WRITERS + 3) as pool:
            work = [pool.submit(write, number) for number in range(WRITERS)]
            work += [
                pool.submit(change_catalog, clients[-1]),
                pool.submit(cancel, clients[-2], cancelled[::2]),
                pool.submit(cancel, clients[-3], cancelled[1::2]),
            ]
            for done in work:
                done.result()

        database = Database.open(database_url)
        stack.callback(database.close)
        settle(database)

        kept = kept_events(database)
        wanted = [f"acme {item['id']}" for item in own] + [f"dora dora-{n}" for n in range(50)]
        for item in aside:
            tenant = item["subject"] if item["subject"] in ("bolt", "cora") else "acme"
            wanted.append(f"{tenant} {item['id']}")
        assert kept == Counter(wanted)
        assert open_copies(database) == 0
        assert {accepted[item["id"]] for item in own} == {1}, "accepted was answered once, to one writer"
        assert max(accepted.values()) == 1
        assert_books_are_clean(database)

        service = api(clients[0])
        left = drawn(n for n in range(600) if f"acme-{n}" not in cancelled)
        totals = {tenant: service.usage("energy", tenant=tenant) for tenant in ("acme", "bolt", "cora")}
        assert {tenant: Decimal(total[""]) for tenant, total in totals.items()} == {
            "acme": left + drawn(range(60)) + drawn(range(30)), "bolt": drawn(range(200)), "cora": drawn(range(200)),
        }  # fmt: skip
        assert service.usage("sessions", tenant="acme") == {"": str(600 - len(cancelled) + 60 + 30)}
        assert service.usage("peak", tenant="bolt") == {"": "24.875"}
        assert service.usage("stations", tenant="cora") == {"": "3"}

"""Eight readers look at the marts without pause while they are published and rolled back."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
import pytest
from support.candidates import MARTS, Candidates

from growth.settings import Warehouse

pytestmark = pytest.mark.alone  # readers wait 100 ms at most

SECONDS = float(os.environ.get("PUBLISH_SECONDS") or 8)
READERS = 8
# One statement sees one publication: sums of two marts agree with each other, counts with what was recorded.
LOOK = """
select
    (select sum(amount) from mart.daily),
    (select sum(amount) from mart.totals),
    (select count(*) from mart.daily),
    (select (row_counts ->> 'daily')::bigint from mart.publications order by publication_id desc limit 1)
"""
WAITING = """
select count(*) from pg_stat_activity where datname = current_database() and usename = 'analyst'
    and wait_event_type = 'Lock'
"""


@dataclass
class Seen:
    """What readers saw; ``sums`` tells that they read while the marts changed."""

    looks: int = 0
    sums: set[object] = field(default_factory=set)
    wrong: list[object] = field(default_factory=list)


@pytest.fixture
def candidates(warehouse: Warehouse) -> Candidates:
    candidates = Candidates(warehouse).prepare()
    candidates.execute("insert into mart_candidate.daily select day, day from generate_series(1, 3000) as day")
    candidates.execute("insert into mart_candidate.totals select 'all', sum(amount) from mart_candidate.daily")
    candidates.publish()
    return candidates


def test_readers_never_see_a_mix_or_an_empty_mart_and_never_wait(candidates: Candidates) -> None:
    stop = threading.Event()
    seen = [Seen() for _ in range(READERS)]
    waits: list[int] = []
    dice = random.Random(1)
    published = rolled_back = 0
    with ThreadPoolExecutor(READERS + 1) as pool:
        readers = [pool.submit(read, candidates, stop, mine, number) for number, mine in enumerate(seen)]
        observer = pool.submit(observe, candidates, stop, waits)
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                candidates.execute(
                    f"delete from mart_candidate.daily where day % 10 = {dice.randrange(10)};"
                    f"insert into mart_candidate.daily select n, n from generate_series(1, {dice.randrange(600)}) as n;"
                    f"update mart_candidate.daily set amount = amount + 1 where day % 7 = {dice.randrange(7)};"
                    "insert into mart_candidate.daily values (1, 1);"
                    "update mart_candidate.totals set amount = (select sum(amount) from mart_candidate.daily)"
                )
                candidates.publish(marts=MARTS if published % 2 else MARTS[::-1])
                published += 1
                if published % 4 == 0:
                    candidates.rollback()
                    rolled_back += 1
        finally:
            stop.set()
        for each in (*readers, observer):
            each.result(60)
    looks, sums = sum(mine.looks for mine in seen), set().union(*(mine.sums for mine in seen))
    print(f"{published} publications, {rolled_back} rollbacks, {looks} looks, {len(sums)} sums seen")
    assert [mine.wrong for mine in seen] == [[]] * READERS
    assert all(mine.looks > 5 for mine in seen)
    assert rolled_back
    assert len(sums) > published / 4
    assert waits
    assert not any(waits), "a reader waited for a lock"


def read(candidates: Candidates, stop: threading.Event, seen: Seen, number: int) -> None:
    """Look until the end, every other reader in a transaction whose statements must all see the same."""
    with psycopg.connect(candidates.warehouse.conninfo("analyst"), autocommit=True) as conn:
        conn.execute("set lock_timeout = '100ms'; set default_transaction_isolation = 'repeatable read'")
        while not stop.is_set():
            with conn.transaction():
                look = [conn.execute(LOOK).fetchone() for _ in range(1 + number % 2)]
            seen.looks += 1
            for row in look:
                assert row is not None
                total, of_totals, count, recorded = row
                seen.sums.add(total)
                if not count or total != of_totals or count != recorded or row != look[0]:
                    seen.wrong.append(look)


def observe(candidates: Candidates, stop: threading.Event, waits: list[int]) -> None:
    """Count the readers that wait for a lock, again and again."""
    with psycopg.connect(candidates.warehouse.conninfo(), autocommit=True) as conn:
        while not stop.wait(0.02):
            waits += [count for (count,) in conn.execute(WAITING)]

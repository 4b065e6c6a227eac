"""Killed at any point, a load that is run again ends as one that nobody interrupted.

A process loads, replaces or replays; after a random time it is killed, or a backend of it, or the server. KILL_POINTS
says how many times (default 9), KILL_SEED which points.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.postgres import PostgresServer, throwaway_postgres

from growth.settings import ROLES, Warehouse
from growth.warehouse import initialise
from ingest.contract import Contract
from ingest.errors import WarehouseUnreachable
from ingest.load import load_feed
from ingest.quarantine import replay

KILL_POINTS = int(os.environ.get("KILL_POINTS") or 9)
KILL_SEED = int(os.environ.get("KILL_SEED") or random.randrange(10**6))
ACTIONS = ("load", "replace", "replay")
# The server is restarted less often; nine points have each kind with each action.
KILLS = ("client", "backend", "server", "client", "backend", "client")
LARGE_FILE_BYTES = 200_000
START = datetime(2024, 1, 1, tzinfo=UTC)

# The processes that are killed come from one that has imported everything.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["growth.warehouse", "ingest.load", "ingest.quarantine", "pytest"])

# What is compared: everything but load ids and times.
STATE = {
    "rows": """
        select loads.source_file, loads.status, count(*), sum(hashtextextended((userid, seen_at, kind, note)::text, 0))
        from raw.visits join raw._loads as loads on _load_id = load_id group by 1, 2
    """,
    "removed rows": """
        select loads.source_file, loads.status, by.source_file, by.status, count(*),
            sum(hashtextextended((userid, seen_at, kind, note)::text, 0))
        from raw._removed_visits join raw._loads as loads on _load_id = load_id
        join raw._loads as by on loads.removed_by = by.load_id group by 1, 2, 3, 4
    """,
    "ledger": """
        select loads.source_file, loads.status, loads.sha256, loads.size_bytes, loads.record_count, loads.loaded_count,
            loads.rejected_count, loads.error, loads.field_names, loads.removed_by is null, of.source_file
        from raw._loads as loads left join raw._loads as of on loads.replay_of = of.load_id
    """,
    "rejects": """
        select source_file, status, line_number, record, column_name, reason, message, replayed_at is null
        from raw._rejects join raw._loads using (load_id)
    """,
    "changed days": """
        select source_file, status, event_date from raw._changed_days join raw._loads using (load_id)
    """,
    "changed days that no load has": """
        select event_date from raw._changed_days where load_id not in (select load_id from raw._loads)
    """,
    "days of rows that no load says it changed": """
        select _load_id, seen_at::date from raw.visits
        except select load_id, event_date from raw._changed_days
    """,
    "days of removed rows that no load says it changed": """
        select removed_by, seen_at::date from raw._removed_visits join raw._loads on _load_id = load_id
        except select load_id, event_date from raw._changed_days
    """,
    "tables": r"""
        select regexp_replace(relname, '\d+_\d+$', ''), count(*) = 0
        from pg_class left join pg_inherits on inhrelid = pg_class.oid
        where relname ~ '_load_\d+_\d+$' and relkind = 'r' and inhparent is null group by 1
    """,
    "temporary tables": "select relname from pg_class where relpersistence = 't'",
}


def contract(*kinds: str) -> Contract:
    columns = [
        {"name": "userid", "type": "bigint", "nullable": False, "description": "Who."},
        {"name": "seen_at", "type": "timestamptz", "nullable": False, "description": "When."},
        {"name": "kind", "type": "text", "nullable": False, "description": "What.", "accepted_values": kinds},
        {"name": "note", "type": "text", "nullable": True, "description": "Anything else."},
    ]
    return Contract.model_validate(
        {
            **{"feed": "visits", "domain": "shop", "description": "Visits.", "event_time": "seen_at"},
            **{"user": "userid", "key": ["userid"], "cadence": "daily", "columns": columns},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
        }
    )


# Records of a third kind wait in quarantine until the contract knows it.
CONTRACTS = {"load": contract("view", "buy"), "replay": contract("view", "buy", "gift")}
CONTRACTS["replace"] = CONTRACTS["load"]


def write_files(landing: Path, first_day: datetime, seed: int) -> None:
    """Small and large files, clean ones and some with 2 % bad records."""
    draw = random.Random(seed)
    (landing / "visits").mkdir(parents=True)
    for name, count, is_bad in [
        *(("small", 1_000, False), ("small_bad", 2_000, True), ("other_small", 3_000, False)),
        *(("large", 30_000, False), ("large_bad", 10_000, True)),
    ]:
        with (landing / "visits" / f"{name}.csv").open("w") as file:
            file.write("userid,seen_at,kind,note\n")
            for number in range(count):
                user, kind = str(draw.randrange(10**9)), draw.choice(["view", "buy"])
                if is_bad and number % 100 == 3:
                    user = "nobody"
                if is_bad and number % 100 == 50:
                    kind = "gift"
                seen_at = first_day + timedelta(seconds=draw.randrange(5 * 86_400))
                file.write(f"{user},{seen_at:%Y-%m-%d %H:%M:%S},{kind},some words to make it longer\n")


def act(action: str, conninfo: str, landing: Path) -> None:
    """Do what is interrupted; both land files first, which differ."""
    if action == "replay":
        replay(conninfo, CONTRACTS[action], run_id="kill test")
        return
    results = load_feed(
        conninfo, CONTRACTS[action], landing, run_id="kill test", workers=2, large_file_bytes=LARGE_FILE_BYTES
    )
    assert {result.status for result in results} <= {"loaded", "skipped"}, results


def act_and_tell(outcome: Connection, *arguments: Any) -> None:
    """What is killed, in a process of its own; says when it is about to begin, and how it ended."""
    outcome.send("ready")
    try:
        act(*arguments)
    except WarehouseUnreachable:
        outcome.send("unreachable")
    except BaseException:
        outcome.send(traceback.format_exc())
    else:
        outcome.send("done")


def state(warehouse: Warehouse) -> dict[str, list[str]]:
    with psycopg.connect(warehouse.conninfo()) as conn:
        conn.execute("set timezone = 'UTC'")
        return {name: sorted(map(str, conn.execute(query))) for name, query in STATE.items()}


@dataclass
class Laboratory:
    """A server of its own, a database before each action, and the state after it."""

    server: PostgresServer
    landings: dict[str, Path]
    expected: dict[str, dict[str, list[str]]]
    seconds: dict[str, float]

    def warehouse(self, database: str) -> Warehouse:
        passwords = {role: role for role in ROLES} | {self.server.user: self.server.password}
        return Warehouse(self.server.host, self.server.port, database, self.server.user, passwords)

    @contextmanager
    def database(self, name: str, template: str = "template1", *, keep: bool = False) -> Iterator[Warehouse]:
        # Copied as WAL, a sequence would give the same numbers again after a crash.
        copy = sql.SQL("create database {} template {} strategy file_copy")
        with self.superuser() as conn:
            conn.execute(copy.format(*map(sql.Identifier, (name, template))))
        try:
            yield self.warehouse(name)
        finally:
            if not keep:
                with self.superuser() as conn:
                    conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    @contextmanager
    def superuser(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.server.conninfo(), autocommit=True) as conn:
            yield conn

    def pg_ctl(self, *arguments: str) -> None:
        with self.superuser() as conn:
            data = Path(conn.execute("show data_directory").fetchone()[0])
            (binaries,) = conn.execute("select setting from pg_config where name = 'BINDIR'").fetchone()
            owner = data.stat().st_uid
        account = {"user": owner, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [Path(binaries) / "pg_ctl", *arguments, "--pgdata", data, "--wait", "--silent"]
        # Its output goes to a file: the server would keep a pipe open.
        with (data.parent / "postgres.log").open("ab") as log:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/tmp", **account)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("kill")
    landings = {"load": folder / "load", "replace": folder / "replace", "replay": folder / "load"}
    write_files(landings["load"], START, seed=1)
    write_files(landings["replace"], START + timedelta(days=3), seed=2)
    with throwaway_postgres("autovacuum=off") as server:
        lab = Laboratory(server, landings, {}, {})
        before = "template1"
        for action, after in [("load", "loaded"), ("replace", None), ("replay", None)]:
            base = f"before_{action}"
            with lab.database(base, before, keep=True) as warehouse:
                initialise(warehouse, {"visits": CONTRACTS[action]})
            with lab.database(after or f"after_{action}", base, keep=True) as warehouse:
                began = time.monotonic()
                act(action, warehouse.conninfo("ingest"), landings[action])
                lab.seconds[action] = time.monotonic() - began
                lab.expected[action] = state(warehouse)
            before = after or before
        with lab.superuser() as conn:
            conn.execute("checkpoint")
        yield lab
        lab.pg_ctl("stop", "--mode", "fast")  # which may be another process than the first


def kill_client(_lab: Laboratory, process: BaseProcess, _database: str, _draw: random.Random) -> None:
    process.kill()


def kill_backend(lab: Laboratory, _process: BaseProcess, database: str, draw: random.Random) -> None:
    with lab.superuser() as conn:
        pids = [
            pid for (pid,) in conn.execute("select pid from pg_stat_activity where datname = %s order by 1", [database])
        ]
        if pids:
            conn.execute("select pg_terminate_backend(%s)", [draw.choice(pids)])


def kill_server(lab: Laboratory, _process: BaseProcess, _database: str, _draw: random.Random) -> None:
    lab.pg_ctl("restart", "--mode", "immediate")


Kill = Callable[[Laboratory, BaseProcess, str, random.Random], None]
KILL: dict[str, Kill] = {"client": kill_client, "backend": kill_backend, "server": kill_server}


def test_uninterrupted_loads_are_whole(laboratory: Laboratory) -> None:
    """What the others are compared with is right itself."""
    for action, found in laboratory.expected.items():
        for nothing in [name for name in STATE if name.startswith(("changed days that", "days of", "tables", "temp"))]:
            assert found[nothing] == [], (action, nothing)
        assert len(found["rows"]) == (7 if action == "replay" else 5)
        assert len(found["removed rows"]) == (5 if action == "replace" else 0)
    waiting = [sum("True" in reject for reject in laboratory.expected[action]["rejects"]) for action in ACTIONS]
    assert waiting == [240, 480, 120]


@pytest.mark.parametrize("number", range(KILL_POINTS))
def test_killed_load_that_is_run_again_ends_as_an_uninterrupted_one(laboratory: Laboratory, number: int) -> None:
    action, kill = ACTIONS[number % 3], KILLS[number // 3 % len(KILLS)]
    draw = random.Random(f"{KILL_SEED} {number}")
    delay = draw.uniform(0, 1.1 * laboratory.seconds[action])
    database = f"killed_{number}"
    with laboratory.database(database, f"before_{action}") as warehouse:
        conninfo, landing = warehouse.conninfo("ingest"), laboratory.landings[action]
        outcome, told_to = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=act_and_tell, args=(told_to, action, conninfo, landing))
        process.start()
        told_to.close()
        assert outcome.recv() == "ready"
        time.sleep(delay)
        KILL[kill](laboratory, process, database, draw)
        try:
            ended = outcome.recv()
        except EOFError:
            ended = "killed"
        process.join()
        told = f"{action}, {kill} killed after {delay:.3f} s of {laboratory.seconds[action]:.3f}, KILL_SEED={KILL_SEED}"
        print(told, ended)
        # Killed, done before it came to that, or one clear error.
        assert ended in (("killed", "done") if kill == "client" else ("unreachable", "done")), (told, ended)
        act(action, conninfo, landing)
        found = state(warehouse)
        for name, lines in laboratory.expected[action].items():
            assert found[name] == lines, (told, name)
        act(action, conninfo, landing)
        assert state(warehouse) == found, told

r"""Measure the load of one large sessions file against ``psql \copy`` of the same file into a plain typed table.

Run it as ``python -m bench.load --rows 10000000`` with WAREHOUSE_HOST (and so on) naming a Postgres on which the owner
may create databases; without them a throw-away server is started. Both ways run in turn, in one database made for it,
so that the ratio holds on a machine whose speed drifts. The file is removed at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from growth.settings import Warehouse, feeds_folder
from ingest.contract import Contract, load_contracts
from ingest.ddl import ensure_raw
from ingest.load import load_feed

CHANNELS = (
    *("PAID SEARCH", "IMPRESSION", "ORGANIC SEARCH", "DIRECT", "PAID SOCIAL"),
    *("SOCIAL", "REFERRAL", "EMAIL", "AFFILIATE"),
)
CHUNK_ROWS = 1_000_000
DATABASE = "growth_bench_load"


def write_sessions(path: Path, rows: int, seed: int = 1) -> None:
    """Write a sessions file of the published case's shape: about 56 bytes a row, 90 days, in order of time."""
    random = np.random.default_rng(seed)
    users = random.integers(10**18, 9 * 10**18, size=max(rows // 10, 1)).astype("U19")
    with path.open("w", encoding="utf-8") as file:
        file.write("userid,time_started,is_paid,medium\n")
        for first in range(0, rows, CHUNK_ROWS):
            count = min(CHUNK_ROWS, rows - first)
            seconds = (np.arange(first, first + count) * (90 * 86_400 / rows)).astype("int64")
            times = np.char.replace((np.datetime64("2024-01-01", "s") + seconds).astype("U19"), "T", " ")
            paid = np.where(random.random(count) < 0.4, "true", "false")
            medium = np.array(CHANNELS)[random.integers(0, len(CHANNELS), count)]
            columns = (users[random.integers(0, len(users), count)], times, paid, medium)
            file.writelines(map("{},{},{},{}\n".format, *(column.tolist() for column in columns)))


def psql_copy(conninfo: str, path: Path, contract: Contract) -> float:
    r"""Seconds of ``\copy`` into an empty table with the contract's columns and nothing else."""
    columns = ", ".join(
        f"{column.name} {column.type}{'' if column.nullable else ' not null'}" for column in contract.columns
    )
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(sql.SQL("drop table if exists plain; create table plain ({})").format(sql.SQL(columns)))
        conn.execute("checkpoint")
    command = f"\\copy plain from '{path}' with (format csv, header true)"
    started = time.monotonic()
    subprocess.run(["psql", "--no-psqlrc", "--quiet", "--dbname", conninfo, "--command", command], check=True)
    return time.monotonic() - started


def our_load(conninfo: str, landing: Path, contract: Contract) -> float:
    """Seconds of ``load_feed`` with everything it does, into an empty schema raw."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("drop schema if exists raw cascade")
        ensure_raw(conn, {contract.feed: contract})
        conn.execute("checkpoint")
    return _seconds(conninfo, landing, contract, "loaded")


def _seconds(conninfo: str, landing: Path, contract: Contract, status: str) -> float:
    started = time.monotonic()
    results = load_feed(conninfo, contract, landing, run_id="bench")
    seconds = time.monotonic() - started
    assert {result.status for result in results} == {status}, results
    return seconds


@contextmanager
def _database() -> Iterator[str]:
    """Connection string of a new database, on the named server or on one of our own."""
    warehouse = Warehouse.from_environment()
    if warehouse is not None:
        yield from _new_database(warehouse.conninfo())
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from support.postgres import throwaway_postgres

    settings = ("shared_buffers=2GB", "max_wal_size=8GB", "work_mem=256MB", "fsync=on")
    with throwaway_postgres(*settings) as server:
        yield from _new_database(server.conninfo())


def _new_database(conninfo: str) -> Iterator[str]:
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(f"drop database if exists {DATABASE} with (force)")
        conn.execute(f"create database {DATABASE}")
        try:
            yield make_conninfo(**conninfo_to_dict(conninfo) | {"dbname": DATABASE})
        finally:
            conn.execute(f"drop database if exists {DATABASE} with (force)")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-ratio", type=float, help="exit 1 when the load takes longer, in units of \\copy")
    arguments = parser.parse_args()
    contract = load_contracts(feeds_folder())["sessions"]
    landing = Path(tempfile.mkdtemp(prefix="growth-bench-"))
    try:
        path = landing / contract.feed / "sessions.csv"
        path.parent.mkdir()
        # in a process of its own, so that its memory does not count as the load's
        writer = multiprocessing.get_context("spawn").Process(target=write_sessions, args=(path, arguments.rows))
        writer.start()
        writer.join()
        memory_before = _peak_mib()
        with _database() as conninfo:
            with psycopg.connect(conninfo) as conn:
                version = conn.info.parameter_status("server_version")
            pairs = [
                (psql_copy(conninfo, path, contract), our_load(conninfo, landing, contract))
                for _ in range(arguments.rounds)
            ]
            skipped = _seconds(conninfo, landing, contract, "skipped")
            with path.open("a") as file:
                file.write("1000000000000000000,2024-03-30 23:59:59,true,DIRECT\n")
            replaced = _seconds(conninfo, landing, contract, "loaded")
        reference, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(our / reference for reference, our in pairs)
        megabytes = path.stat().st_size / 1e6
        print(f"Postgres {version}, {arguments.rows:,} rows, {megabytes:.0f} MB, {arguments.rounds} rounds")
        print(f"memory of the loading process: {_peak_mib() - memory_before:.0f} MiB above its start\n")
        best = [min(column) for column in zip(*pairs, strict=True)]
        print("| way | s (median) | ÷ psql \\copy | of each round |\n|---|---|---|---|")
        print(f"| psql \\copy into a plain table | {reference:.2f} | 1.00 | |")
        print(f"| load_feed, new file | {ours:.2f} | {ratio:.2f} | {', '.join(f'{b / a:.2f}' for a, b in pairs)} |")
        print(f"| best against best | {best[1]:.2f} | {best[1] / best[0]:.2f} | |")
        print(f"| load_feed, same file again (skipped) | {skipped:.2f} | {skipped / reference:.2f} | |")
        print(f"| load_feed, changed file (replaced) | {replaced:.2f} | {replaced / reference:.2f} | |")
    finally:
        shutil.rmtree(landing)
    if arguments.max_ratio is not None and ratio > arguments.max_ratio:
        sys.exit(f"load_feed took {ratio:.2f} times as long as psql \\copy; allowed: {arguments.max_ratio}")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

"""Move rows of old loads out of raw into files, and back: exactly, and whole loads at a time.

Target: ``raw._cold_files``, and below the cold folder a compressed file per load, in COPY's text format. Each row of a
load is in raw or in the file that the ledger names, never in both and never in neither: the file is on the disk before
the transaction that deletes the rows, and is deleted after the one that brings them back. All of this is done by one
process at a time (``alone``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from ingest import cold_files, ledger
from ingest.cold_files import ColdLoad
from ingest.contract import Contract
from ingest.copy import connect
from ingest.errors import ColdFileBroken, RowsInUse
from ingest.server import only_itself, summarize_new_rows
from ingest.tables import create_time_index, load_table, raw_table, removed_table
from ingest.tombstones import hold_off_erasure

LOCK = "hashtext('growth.cold')"
# From here on rows get a table of their own when they come back, as those of a large file have (ADR 0003).
LARGE_ROWS = 200_000
# Who reads rows keeps them until the next time.
LOCK_TIMEOUT = "10s"
_COLD = """
select path, load_id, feed, row_count, sha256, first_date, last_date from raw._cold_files
where aged_at is not null order by load_id
"""
# A day that lay ahead when its file was loaded is no event's: gate_raw stops it, and the ledger keeps it when another
# content has come.
_OLD = """
with spans as (
    select loads.load_id, max(days.event_date) as last_date
    from raw._loads as loads
    inner join raw._changed_days as days on loads.load_id = days.load_id
    where
        loads.feed = %(feed)s and loads.status in ('loaded', 'replayed') and loads.loaded_count > 0
        and days.event_date <= cast(loads.finished_at at time zone 'UTC' as date) + 1
    group by loads.load_id
)
select load_id from spans
where
    last_date < (select max(last_date) from spans) - %(days)s
    and load_id not in (select load_id from raw._cold_files where aged_at is not null)
order by load_id
"""


@contextmanager
def alone(conninfo: str) -> Iterator[None]:
    """Let nobody else move rows, or take a backup of the files, until the end of the block; wait for who does."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(f"select pg_advisory_lock({LOCK})".encode())
        yield


def cold_loads(conn: psycopg.Connection) -> list[ColdLoad]:
    """The loads of all feeds whose rows are in files; nothing where the ledger is of a release that knew of none."""
    if conn.execute("select to_regclass('raw._cold_files')").fetchone() == (None,):
        return []
    return [ColdLoad(*row) for row in conn.execute(_COLD)]


def old_loads(conn: psycopg.Connection, feed: str, days: int) -> list[int]:
    """The loads that are in raw and whose newest event lies more than so many days before the newest of the feed."""
    return [load_id for (load_id,) in conn.execute(_OLD, {"feed": feed, "days": days})]


def age(conninfo: str, contract: Contract, load_id: int, folder: Path) -> ColdLoad | None:
    """Move the rows of a load into a file.

    Args:
        conninfo: connection string of a role that owns the raw tables.
        contract: of the load's feed.
        load_id: what every model has seen.
        folder: the cold folder.

    Returns:
        Where they are; None where the load is not in raw any more, or has no rows.

    Raises:
        RowsInUse: somebody reads them, or builds a model.
        ColdFileBroken: what was written does not read as it was; the rows are still in raw.
        OSError: the file cannot be written; the rows are still in raw.
    """
    path = f"{contract.feed}/{load_id}-{secrets.token_hex(4)}.copy.gz"
    with connect(conninfo, contract) as conn:
        # First the ledger, then the disk: whatever becomes of us, the file is known, and deleted by ``sweep``.
        conn.execute(
            "insert into raw._cold_files (path, load_id, feed) values (%s, %s, %s)", [path, load_id, contract.feed]
        )
        try:
            with conn.transaction():
                hold_off_erasure(conn)
                _lock_load(conn, load_id)
                is_there = _status(conn, load_id) in ("loaded", "replayed")
                return _age(conn, contract, load_id, folder, path) if is_there else None
        except psycopg.errors.LockNotAvailable as error:
            raise RowsInUse(f"load {load_id} of {contract.feed} is being read") from error


def thaw(conninfo: str, contract: Contract, loads: Sequence[ColdLoad], folder: Path) -> int:
    """Bring the rows of loads of a feed back, a transaction per load; their files are left for ``sweep``.

    Rows of a load that was replaced or unloaded meanwhile go to ``raw._removed_<feed>``, as if they had been there.

    Args:
        conninfo: connection string of a role that owns the raw tables.
        contract: of the feed.
        loads: which; ``cold_files.check`` has seen their files.
        folder: the cold folder.

    Returns:
        How many rows are back.

    Raises:
        ColdFileBroken: a file was damaged since; its load is still cold.
    """
    row_count = 0
    with connect(conninfo, contract) as conn:
        for load in loads:
            with conn.transaction():
                hold_off_erasure(conn)
                _lock_load(conn, load.load_id)
                row_count += _thaw(conn, contract, load, folder)
        if row_count:
            summarize_new_rows(conn, contract.feed)
            conn.execute(sql.SQL("analyze {} {}").format(only_itself(conn), raw_table(contract.feed)))
    return row_count


def give_up(conninfo: str, contract: Contract, load: ColdLoad, *, run_id: str) -> str:
    """Take a load whose file is lost for unloaded: its days are built anew without it.

    Returns:
        The path of the delivered file that it was loaded from.
    """
    with connect(conninfo, contract) as conn, conn.transaction():
        hold_off_erasure(conn)
        source_file = _lock_load(conn, load.load_id)
        old = ledger.loaded_file(conn, source_file)
        if old is not None and _status(conn, load.load_id) in ("loaded", "replayed"):
            new_id = ledger.next_load_id(conn)
            ledger.remove_load(conn, contract, old.load_id, new_id, "unloaded")
            entry = ledger.Entry(load.feed, source_file, None, 0, datetime.now(UTC), run_id)
            ledger.record_removal(conn, new_id, entry)
        conn.execute("update raw._cold_files set aged_at = null where path = %s", [load.path])
    return source_file


def sweep(conninfo: str, folder: Path) -> None:
    """Delete files that are in no use: their rows are in raw, still or again."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        for (path,) in conn.execute("select path from raw._cold_files where aged_at is null").fetchall():
            (folder / path).unlink(missing_ok=True)
            conn.execute("delete from raw._cold_files where path = %s and aged_at is null", [path])


def vacuum(conninfo: str, contract: Contract, gone: int) -> None:
    """Let the room of so many rows that left be used again; give it back to the disk where fewer stayed."""
    table = raw_table(contract.feed)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(sql.SQL("set lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
        # another time, or with more room
        with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DiskFull):
            conn.execute(sql.SQL("vacuum (analyze) {} {}").format(only_itself(conn), table))
            stayed = conn.execute(
                "select reltuples from pg_class where oid = %s::regclass", [table.as_string(conn)]
            ).fetchone()
            if stayed and stayed[0] < gone:  # what stays is copied: less than what is gained
                conn.execute(sql.SQL("vacuum (full, analyze) {} {}").format(only_itself(conn), table))


def _age(conn: psycopg.Connection, contract: Contract, load_id: int, folder: Path, path: str) -> ColdLoad | None:
    feed, table = contract.feed, raw_table(contract.feed)
    own = ledger.load_tables(conn, feed, load_id)
    if own:
        ledger.lock_children(conn, feed)
    mine = sql.SQL("_load_id = {}").format(sql.Literal(load_id))
    counts, sha256 = cold_files.write(conn, [*own, table], mine, folder / path)
    days = conn.execute(
        "select min(event_date), max(event_date) from raw._changed_days where load_id = %s", [load_id]
    ).fetchone()
    if not sum(counts) or days is None or days[0] is None:
        return None
    # Models that are being built have looked here first (macro require_rows): none reads without them.
    conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    conn.execute("lock table raw._cold_files in access exclusive mode")
    for each in own:
        conn.execute(sql.SQL("drop table {}").format(each))
    with ledger.index_scans_only(conn):
        deleted = conn.execute(sql.SQL("delete from only {} where {}").format(table, mine)).rowcount
    if deleted != counts[-1]:
        raise ColdFileBroken(f"{path} has {counts[-1]:,} of {deleted:,} rows: nothing was deleted")
    load = ColdLoad(path, load_id, feed, sum(counts), sha256, *days)
    conn.execute(
        "update raw._cold_files set row_count = %s, sha256 = %s, first_date = %s, last_date = %s, aged_at = now()"
        " where path = %s",
        [load.row_count, sha256, *days, path],
    )
    return load


def _thaw(conn: psycopg.Connection, contract: Contract, load: ColdLoad, folder: Path) -> int:
    known = "select from raw._cold_files where path = %s and aged_at is not null for update"
    if conn.execute(known, [load.path]).fetchone() is None:
        return 0
    if _status(conn, load.load_id) not in ("loaded", "replayed"):
        count = cold_files.read(conn, removed_table(contract.feed), load, folder)
    elif load.row_count >= LARGE_ROWS:
        count = _read_into_own_table(conn, contract, load, folder)
    else:
        try:
            with conn.transaction():
                count = cold_files.read(conn, raw_table(contract.feed), load, folder)
        except psycopg.errors.CheckViolation:  # of a contract that was edited since: what was in raw stays right
            count = _read_into_own_table(conn, contract, load, folder)
    if count != load.row_count:
        raise ColdFileBroken(f"{load.describe()} has {count:,} rows")
    conn.execute("update raw._cold_files set aged_at = null where path = %s", [load.path])
    return count


def _read_into_own_table(conn: psycopg.Connection, contract: Contract, load: ColdLoad, folder: Path) -> int:
    """A table as a large load has it, which the contract's checks of now are no matter of."""
    table = load_table(contract.feed, load.load_id, 1)
    conn.execute(sql.SQL("create table {} (like {})").format(table, raw_table(contract.feed)))
    count = cold_files.read(conn, table, load, folder)
    conn.execute(create_time_index(contract, table, with_load_id=False))
    conn.execute(sql.SQL("analyze {}").format(table))
    ledger.lock_children(conn, contract.feed)
    conn.execute(sql.SQL("alter table {} inherit {}").format(table, raw_table(contract.feed)))
    return count


def _lock_load(conn: psycopg.Connection, load_id: int) -> str:
    """Keep who would replace or unload the load's file waiting; the path of the file."""
    query = "select source_file from raw._loads where load_id = %s"
    row = conn.execute(query, [load_id]).fetchone()
    assert row is not None
    ledger.lock_path(conn, row[0])
    return str(row[0])


def _status(conn: psycopg.Connection, load_id: int) -> str:
    row = conn.execute("select status from raw._loads where load_id = %s", [load_id]).fetchone()
    assert row is not None
    return str(row[0])

"""Load landed files into raw: a transaction per file, several files at once.

Source: ``landing/<feed>/**``. Target: ``raw.<feed>``, and for each file its entry in the ledger and its changed days,
together or not at all. A large file gets a table of its own below ``raw.<feed>``: it is written without a vacuum to
follow, and replaced by dropping it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

import psycopg
from psycopg import sql

from ingest import ledger
from ingest.contract import Contract
from ingest.copy import DeliveryReader, as_ingest_error, copy_file, refusal_reason
from ingest.ddl import LOAD_ID_SETTING, check_raw, create_time_index, load_table, qualified_time_index, raw_table
from ingest.errors import FileRefused, FileUnfinished, IngestError, LoadStopped
from ingest.landing import Delivery, find_deliveries

LARGE_FILE_BYTES = 32 << 20
ANALYZE_ROWS = 1_000
PROGRESS_SECONDS = 0.5

Status = Literal["loaded", "skipped", "refused", "unfinished"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of one file.

    ``record_count`` is the records of the file that are in raw, ``seconds`` the time it took, ``error`` why it was
    refused or left for the next load, ``load_id`` its row of the ledger.
    """

    feed: str
    source_file: str
    status: Status
    record_count: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    error: str | None = None
    load_id: int | None = None


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far the stream of a file is, in bytes."""

    feed: str
    source_file: str
    sent_bytes: int
    size_bytes: int


ProgressCallback = Callable[[LoadProgress], None]


def load_feed(
    conninfo: str,
    contract: Contract,
    landing: Path,
    *,
    run_id: str | None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    large_file_bytes: int = LARGE_FILE_BYTES,
) -> list[LoadResult]:
    """Load every file of a feed that is new or has changed.

    Args:
        conninfo: connection string of a role that owns the raw tables.
        contract: the feed's contract; ``ensure_raw`` has made its table.
        landing: the landing folder (not the feed's).
        run_id: what the ledger says of who loaded, such as the DAG run.
        workers: files to load at once, each on a connection of its own; None: as the machine has cores, at most 4.
        progress: called from the loading threads, at most twice a second for a file and once at its end.
        large_file_bytes: files from this size on get a table of their own.

    Returns:
        A result per file, in the order of their paths. A refused file does not keep the others from loading.

    Raises:
        WarehouseUnreachable: connection refused or lost; files that are loaded by then stay loaded.
        RawSchemaMismatchError: the raw table is missing or differs from the contract.
    """
    found = find_deliveries(landing, contract.feed)
    for warning in found.warnings:
        logger.warning("%s", warning)
    with _connect(conninfo) as conn:
        check_raw(conn, contract)
        results = [_refuse_unread(conn, contract, *error, run_id) for error in found.errors]
    job = _Job(conninfo, contract, run_id, progress, large_file_bytes, threading.Event())
    worker_count = min(workers or min(4, os.cpu_count() or 1), len(found.deliveries))
    results += _load_all(job, found.deliveries, worker_count)
    _maintain(conninfo, contract, results)
    return sorted(results, key=lambda result: result.source_file)


@dataclass(frozen=True, slots=True)
class _Job:
    """What every worker of a load needs to know; ``stop`` makes them roll back what they are at."""

    conninfo: str
    contract: Contract
    run_id: str | None
    progress: ProgressCallback | None
    large_file_bytes: int
    stop: threading.Event


def _load_all(job: _Job, deliveries: tuple[Delivery, ...], worker_count: int) -> list[LoadResult]:
    if not deliveries:
        return []
    waiting: SimpleQueue[Delivery] = SimpleQueue()
    # The largest first, so that no worker is left alone with it at the end.
    for delivery in sorted(deliveries, key=lambda delivery: -_size(delivery.path)):
        waiting.put(delivery)
    with ThreadPoolExecutor(worker_count, thread_name_prefix=f"load-{job.contract.feed}") as pool:
        try:
            futures = [pool.submit(_work, job, waiting) for _ in range(worker_count)]
            wait(futures, return_when=FIRST_EXCEPTION)
            # After a failure no worker begins another file; those under way come to their end.
            _drain(waiting)
            wait(futures)
            return [result for future in futures for result in future.result()]
        except BaseException:
            job.stop.set()
            _drain(waiting)
            raise


def _work(job: _Job, waiting: SimpleQueue[Delivery]) -> list[LoadResult]:
    results: list[LoadResult] = []
    with _connect(job.conninfo) as conn:
        while True:
            try:
                delivery = waiting.get_nowait()
            except Empty:
                return results
            results.append(_load_file(conn, job, delivery))
            if results[-1].status == "loaded":
                # or every later search for a load's rows reads the new pages too
                conn.execute(
                    "select brin_summarize_new_values(%s::regclass)", [qualified_time_index(job.contract.feed)]
                )


def _load_file(conn: psycopg.Connection, job: _Job, delivery: Delivery) -> LoadResult:
    """Load one file in one transaction; a refusal is written down in another, after the first was rolled back."""
    started, started_at = time.monotonic(), datetime.now(UTC)
    result = LoadResult(delivery.feed, delivery.source_file, "unfinished")
    try:
        with DeliveryReader(delivery.path, _watch(job, delivery)) as source:
            result = replace(result, size_bytes=source.size_bytes)
            try:
                with conn.transaction():
                    result = _load_in_transaction(conn, job, delivery, source, started_at)
            except (FileRefused, psycopg.Error) as error:
                source.check_unchanged()  # half a file is bad for no fault of its sender
                if isinstance(error, FileRefused):
                    reason = str(error)
                elif (found := refusal_reason(error, job.contract)) is not None:
                    reason = found
                else:
                    raise
                entry = _entry(job, delivery, source.sha256(), source.size_bytes, started_at)
                load_id = ledger.record_refused(conn, entry, reason)
                result = replace(result, status="refused", error=reason, load_id=load_id)
    except FileUnfinished as error:
        result = replace(result, status="unfinished", error=str(error))
    except FileNotFoundError:
        result = replace(result, status="unfinished", error="went away before it was read")
    except PermissionError as error:
        result = _refuse_unread(
            conn, job.contract, delivery.source_file, f"cannot be read: {error.strerror}", job.run_id
        )
    return replace(result, seconds=time.monotonic() - started)


def _load_in_transaction(
    conn: psycopg.Connection, job: _Job, delivery: Delivery, source: DeliveryReader, started_at: datetime
) -> LoadResult:
    contract = job.contract
    ledger.lock_path(conn, delivery.source_file)
    old = ledger.loaded_file(conn, delivery.source_file)
    if old is not None and old.size_bytes == source.size_bytes:
        with DeliveryReader(delivery.path, lambda *_: _check_stop(job)) as same_file:
            unchanged = same_file.sha256() == old.sha256
        if unchanged:
            ledger.forget_refusals(conn, delivery.source_file)
            return LoadResult(
                *(delivery.feed, delivery.source_file, "skipped", old.record_count, old.size_bytes),
                load_id=old.load_id,
            )
    load_id = ledger.next_load_id(conn)
    if source.size_bytes >= job.large_file_bytes:
        record_count, days = _fill_own_table(conn, contract, source, load_id)
    else:
        record_count, days = _fill_raw_table(conn, contract, source, load_id)
    ledger.record_changed_days(conn, contract.feed, days, load_id)
    if old is not None:
        ledger.remove_load(conn, contract, old, load_id)
    sha256 = source.sha256()
    ledger.record_loaded(conn, load_id, _entry(job, delivery, sha256, source.read_bytes, started_at), record_count)
    source.check_unchanged()
    return LoadResult(delivery.feed, delivery.source_file, "loaded", record_count, source.read_bytes, load_id=load_id)


def _fill_own_table(
    conn: psycopg.Connection, contract: Contract, source: DeliveryReader, load_id: int
) -> tuple[int, set[date]]:
    """COPY into a new table, then make it a child of raw.<feed>: readers see it when the transaction commits."""
    table, parent = load_table(contract.feed, load_id), raw_table(contract.feed)
    conn.execute(sql.SQL("create table {} (like {} including constraints)").format(table, parent))
    conn.execute(sql.SQL("alter table {} alter column _load_id set default {}").format(table, sql.Literal(load_id)))
    record_count = copy_file(conn, table, contract, source, freeze=True)
    conn.execute(create_time_index(contract, table, with_load_id=False))
    days = ledger.days_by_index(conn, contract, table)
    ledger.lock_children(conn, contract.feed)
    conn.execute(sql.SQL("alter table {} inherit {}").format(table, parent))
    return record_count, days


def _fill_raw_table(
    conn: psycopg.Connection, contract: Contract, source: DeliveryReader, load_id: int
) -> tuple[int, set[date]]:
    """COPY into raw.<feed> itself, and find the days of the new rows without reading the old ones."""
    table = raw_table(contract.feed)
    conn.execute("select set_config(%s, %s, true)", [LOAD_ID_SETTING, str(load_id)])
    record_count = copy_file(conn, table, contract, source, freeze=False)
    condition = sql.SQL("_load_id = {}").format(sql.Literal(load_id))
    with ledger.index_scans_only(conn):
        days = ledger.days_in(conn, contract, sql.SQL("only {}").format(table), condition)
    if record_count != sum(days.values()):
        raise IngestError(f"COPY stored {record_count} records, {sum(days.values())} are found")
    return record_count, set(days)


def _refuse_unread(
    conn: psycopg.Connection, contract: Contract, source_file: str, reason: str, run_id: str | None
) -> LoadResult:
    """Refuse what cannot even be opened: the ledger knows no sha256 of it."""
    entry = ledger.Entry(contract.feed, source_file, None, 0, datetime.now(UTC), run_id)
    load_id = ledger.record_refused(conn, entry, reason)
    return LoadResult(contract.feed, source_file, "refused", error=reason, load_id=load_id)


def _maintain(conninfo: str, contract: Contract, results: list[LoadResult]) -> None:
    """Give the planner statistics of what is new; after the loads' transactions, so that nobody waits for it."""
    loaded = [result for result in results if result.status == "loaded"]
    if sum(result.record_count for result in loaded) < ANALYZE_ROWS:
        return
    with _connect(conninfo) as conn:
        table = raw_table(contract.feed)
        for result in loaded:
            assert result.load_id is not None
            own_table = load_table(contract.feed, result.load_id)
            if ledger.exists(conn, own_table):
                conn.execute(sql.SQL("analyze {}").format(own_table))
        # Postgres 18 would analyze every child again.
        only = sql.SQL("only" if conn.info.server_version >= 180000 else "")
        conn.execute(sql.SQL("analyze {} {}").format(only, table))


@contextmanager
def _connect(conninfo: str) -> Iterator[psycopg.Connection]:
    """Connection with the settings that a file's meaning must not depend on; errors as ``ingest.errors`` has them."""
    try:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            # After waiting for a path's lock, what the other loader committed must be seen.
            conn.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            conn.execute(
                "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set client_encoding = 'UTF8';"
                " set jit = off; set client_min_messages = warning"
            )
            yield conn
    except psycopg.Error as error:
        raise as_ingest_error(error) from error


def _watch(job: _Job, delivery: Delivery) -> Callable[[int, int], None]:
    """What to do after each block that was read: stop if told to, report now and then."""
    reported = 0.0

    def watch(read_bytes: int, size_bytes: int) -> None:
        nonlocal reported
        _check_stop(job)
        now = time.monotonic()
        if job.progress is not None and (read_bytes == size_bytes or now - reported >= PROGRESS_SECONDS):
            reported = now
            job.progress(LoadProgress(delivery.feed, delivery.source_file, read_bytes, size_bytes))

    return watch


def _check_stop(job: _Job) -> None:
    if job.stop.is_set():
        raise LoadStopped("the load was stopped")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # what it means is found out when the file's turn comes
        return 0


def _drain(waiting: SimpleQueue[Delivery]) -> None:
    with suppress(Empty):
        while True:
            waiting.get_nowait()


def _entry(job: _Job, delivery: Delivery, sha256: str, size_bytes: int, started_at: datetime) -> ledger.Entry:
    return ledger.Entry(delivery.feed, delivery.source_file, sha256, size_bytes, started_at, job.run_id)

"""Load landed files into raw: a transaction per file, several files at once.

Source: ``landing/<feed>/**``. Target: ``raw.<feed>`` and the ledger, by :mod:`ingest.load_file`; statistics of the
table.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from psycopg import sql

from ingest import ledger
from ingest.contract import Contract
from ingest.copy import connect
from ingest.ddl import check_raw
from ingest.landing import Delivery, find_deliveries
from ingest.load_file import LoadJob, load_file, refuse_unread, result_skipped
from ingest.results import LoadResult, ProgressCallback
from ingest.server import only_itself, summarize_new_rows
from ingest.tables import raw_table
from ingest.tombstones import vacuum

LARGE_FILE_BYTES = 32 << 20
ANALYZE_ROWS = 1_000

logger = logging.getLogger(__name__)


def load_feed(
    conninfo: str,
    contract: Contract,
    landing: Path,
    *,
    run_id: str | None,
    contracts: Collection[Contract] = (),
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
        contracts: those of all feeds: a file that lies in the wrong folder is told by them.
        workers: small files to load at once, and streams of a large one; None: as the machine has cores, at most 4.
        progress: called from the loading threads, at most twice a second for a file and once at its end.
        large_file_bytes: files from this size on are streamed over several connections.

    Returns:
        A result per file, in the order of their paths. A refused file does not keep the others from loading.

    Raises:
        WarehouseUnreachable: connection refused or lost; files that are loaded by then stay loaded.
        RawSchemaMismatchError: the raw table is missing or differs from the contract.
    """
    found = find_deliveries(landing, contract.feed)
    for warning in found.warnings:
        logger.warning("%s", warning)
    with connect(conninfo, contract) as conn:
        check_raw(conn, contract)
        ledger.sweep(conn, contract.feed)
        results = [refuse_unread(conn, contract, *error, run_id) for error in found.errors]
        # A file that waits to be archived is moved once its content was looked at.
        known = ledger.known_files(conn, contract.feed) if contract.after_load == "keep" else {}
    worker_count = workers or min(4, os.cpu_count() or 1)
    job = LoadJob(conninfo, contract, contracts, landing, run_id, progress, large_file_bytes, worker_count)
    states = [(delivery, known.get((delivery.source_file, delivery.state))) for delivery in found.deliveries]
    results += [result_skipped(delivery, old) for delivery, old in states if old is not None]
    results += _load_all(job, tuple(delivery for delivery, old in states if old is None))
    _maintain(conninfo, contract, results)
    return sorted(results, key=lambda result: result.source_file)


def _load_all(job: LoadJob, deliveries: tuple[Delivery, ...]) -> list[LoadResult]:
    results: list[LoadResult] = []
    # A large file keeps every core busy on its own.
    if large := [delivery for delivery in deliveries if job.is_large(delivery.size_bytes)]:
        with connect(job.conninfo, job.contract) as conn:
            results += [load_file(conn, job, delivery) for delivery in large]
    waiting: SimpleQueue[Delivery] = SimpleQueue()
    # The largest first, so that no worker is left alone with it at the end.
    small = sorted(deliveries, key=lambda delivery: -delivery.size_bytes)[len(large) :]
    for delivery in small:
        waiting.put(delivery)
    with ThreadPoolExecutor(job.worker_count, thread_name_prefix=f"load-{job.contract.feed}") as pool:
        try:
            futures = [pool.submit(_work, job, waiting) for _ in range(min(job.worker_count, len(small)))]
            wait(futures, return_when=FIRST_EXCEPTION)
            # After a failure no worker begins another file; those under way come to their end.
            _drain(waiting)
            wait(futures)
            return results + [result for future in futures for result in future.result()]
        except BaseException:
            job.stop.set()
            _drain(waiting)
            raise


def _work(job: LoadJob, waiting: SimpleQueue[Delivery]) -> list[LoadResult]:
    results: list[LoadResult] = []
    with connect(job.conninfo, job.contract) as conn:
        while True:
            try:
                delivery = waiting.get_nowait()
            except Empty:
                return results
            results.append(load_file(conn, job, delivery))
            if results[-1].status == "loaded":
                summarize_new_rows(conn, job.contract.feed)


def _maintain(conninfo: str, contract: Contract, results: list[LoadResult]) -> None:
    """Vacuum and statistics of what is new; after the loads' transactions, so that nobody waits for it."""
    loads = [result for result in results if result.status == "loaded"]
    if erased := [result.load_id for result in loads if result.erased_count and result.load_id is not None]:
        with connect(conninfo, contract) as conn:
            tables = [table for load_id in erased for table in ledger.load_tables(conn, contract.feed, load_id)]
            vacuum(conn, [raw_table(contract.feed), *tables])
    if sum(result.loaded_count for result in loads) < ANALYZE_ROWS:
        return
    with connect(conninfo, contract) as conn:
        # not its children: load tables are analyzed as they are filled
        conn.execute(sql.SQL("analyze {} {}").format(only_itself(conn), raw_table(contract.feed)))


def _drain(waiting: SimpleQueue[Delivery]) -> None:
    with suppress(Empty):
        while True:
            waiting.get_nowait()

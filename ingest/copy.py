"""Streams of CSV text into tables of the warehouse, with COPY.

The bytes go to the server as they are: it is the judge of a record. A small file has one stream, on the connection of
its load; a large one has several, each with a connection and a table of its own.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import TypeVar

import psycopg
from psycopg import sql

from ingest.contract import Contract, CsvFormat
from ingest.errors import LoadStopped, NeedsCare, WarehouseUnreachable

# Classes of SQLSTATE that a file's content causes: data exception, integrity violation, a limit such as field size.
_CONTENT_CLASSES = ("22", "23", "54")
# COPY of Postgres 17 and older ends at a line that holds only \. and drops what follows without a word.
_END_MARKER = re.compile(rb"(?:^|[\r\n])\\\.(?:$|[\r\n])")
_WAIT_SECONDS = 0.2
_WAITING_CHUNKS = 2  # per stream
_SWITCH_SECONDS = 2e-4

Part = TypeVar("Part")

# What it warns of while it gives up a COPY is in the exception that follows, and quotes values of the file.
logging.getLogger("psycopg").setLevel(logging.ERROR)


@contextmanager
def connect(conninfo: str, contract: Contract) -> Iterator[psycopg.Connection]:
    """Connection with the settings that a file's meaning must not depend on; errors as ``ingest.errors`` has them.

    The one that it does depend on, the order of day and month, is that of the contract; see ``read_dates_as``.
    """
    try:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            # After waiting for a path's lock, what the other loader committed must be seen.
            conn.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            conn.execute(
                sql.SQL(
                    "set timezone = 'UTC'; set datestyle = {}; set client_encoding = 'UTF8'; set jit = off;"
                    " set client_min_messages = warning;"
                    # Locks of a loader whose machine died are gone after two minutes, not after two hours.
                    " set tcp_keepalives_idle = 60; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 6"
                ).format(_date_style(contract))
            )
            yield conn
    except psycopg.Error as error:
        if (ours := as_ingest_error(error)) is error:
            raise
        raise ours from error


def read_dates_as(conn: psycopg.Connection, contract: Contract) -> None:
    """Read dates in the order that the contract has for one file (``contract_for``), until the transaction ends.

    A Parquet file knows no ``csv.date_order``, and comes on the same connection as CSV files.
    """
    conn.execute(sql.SQL("set local datestyle = {}").format(_date_style(contract)))


def _date_style(contract: Contract) -> sql.Literal:
    return sql.Literal(f"ISO, {contract.csv.date_order}")


def copy_records(
    conn: psycopg.Connection,
    table: sql.Identifier,
    columns: Iterable[str],
    csv: CsvFormat,
    line_end: bytes,
    chunks: Iterable[bytes],
    *,
    freeze: bool = False,
) -> int:
    """COPY whole records into a table: every one, or none.

    Args:
        conn: open connection, inside the caller's transaction.
        table: target; has the named columns, and a default for any other.
        columns: a column of the table for each field of a record.
        csv: how the text is written.
        line_end: of the file.
        chunks: whole records, each with its line end.
        freeze: write rows as if vacuum had been there; the table must be new in this transaction.

    Returns:
        How many records the server stored.

    Raises:
        NeedsCare: the server would not see the records as they are.
        psycopg.Error: the server refused a record (see ``is_about_content``), or is gone.
    """
    statement = sql.SQL(
        "copy {} ({}) from stdin (format csv, header true, delimiter {}, quote {}, null {}, freeze {})"
    ).format(
        *(table, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Literal(csv.delimiter), sql.Literal(csv.quote)),
        *(sql.Literal(csv.nulls[0]), sql.SQL("true" if freeze else "false")),
    )
    stops_at_marker = conn.info.server_version < 180000
    with conn.cursor() as cursor:
        with cursor.copy(statement) as copy:
            # A header, so that each stream of a file takes the same line end for the right one. A letter: no contract
            # can state one as its quote.
            copy.write(b"x" + line_end)
            for chunk in chunks:
                if stops_at_marker and b"\\." in chunk and _END_MARKER.search(chunk):
                    raise NeedsCare(r"a line that holds only \.")
                copy.write(chunk)
        return cursor.rowcount


def in_parallel(stream_count: int, fill: Callable[[int, Iterator[bytes]], Part], chunks: Iterable[bytes]) -> list[Part]:
    """Deal chunks to streams, each in a thread of its own.

    Args:
        stream_count: how many streams.
        fill: called in the thread with the stream's number and its chunks; what it returns is the stream's result.
        chunks: read in this thread, a few ahead of the streams.

    Returns:
        The results, in the order of the streams.

    Raises:
        Exception: the first one that ``fill`` or ``chunks`` raised; by then all streams have ended, the others with
            ``LoadStopped`` where they were still reading.
    """
    waiting: Queue[bytes | None] = Queue(_WAITING_CHUNKS * stream_count)
    stop = threading.Event()
    results: dict[int, Part] = {}
    errors: list[BaseException] = []

    def dealt() -> Iterator[bytes]:
        while True:
            try:
                chunk = waiting.get(timeout=_WAIT_SECONDS)
            except Empty:
                chunk = b""
            if stop.is_set():
                raise LoadStopped("another stream of the file has failed")
            if chunk is None:
                return
            if chunk:
                yield chunk

    def run(number: int) -> None:
        try:
            results[number] = fill(number, dealt())
        except BaseException as error:
            errors.append(error)
            stop.set()

    def deal(chunk: bytes | None) -> None:
        while not stop.is_set():
            try:
                return waiting.put(chunk, timeout=_WAIT_SECONDS)
            except Full:
                continue

    threads = [threading.Thread(target=run, args=(number,), name=f"stream-{number}") for number in range(stream_count)]
    # While this thread looks at records, a stream that has sent a few bytes would wait 5 ms to send the next.
    usual_interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    for thread in threads:
        thread.start()
    try:
        for chunk in chunks:
            deal(chunk)
            if stop.is_set():
                break
        for _ in threads:
            deal(None)
    except BaseException:
        stop.set()
        raise
    finally:
        for thread in threads:
            thread.join()
        sys.setswitchinterval(usual_interval)
    if errors:
        raise errors[0]
    return [results[number] for number in range(stream_count)]


def is_about_content(error: psycopg.Error) -> bool:
    """Whether a file's content made the server refuse, rather than the state that the server is in."""
    return (error.sqlstate or "").startswith(_CONTENT_CLASSES)


def as_ingest_error(error: psycopg.Error) -> Exception:
    """What to raise for an error of the server that the file has no part in."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        text = error.diag.message_primary or str(error)  # not its context, which quotes the record that was read
        return WarehouseUnreachable(f"warehouse: {' '.join(text.split())}")
    return error

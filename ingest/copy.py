"""Stream a landed file into a table with COPY, and read what the server says when it will not have it.

The bytes go to the server as they are: it is the judge of a record. They pass through sha256 on the way.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import psycopg
from psycopg import sql

from ingest.contract import Contract
from ingest.ddl import range_constraint
from ingest.errors import FileRefused, FileUnfinished, WarehouseUnreachable

BLOCK_BYTES = 1 << 18
HEADER_BYTES = 1 << 16

# Classes of SQLSTATE that a file's content causes: data exception, integrity violation, a limit such as field size.
_CONTENT_CLASSES = ("22", "23", "54")
# COPY of Postgres 17 and older ends at a line that holds only \. and drops what follows without a word.
_END_MARKER = re.compile(rb"[\r\n]\\\.[\r\n]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class DeliveryReader:
    """Reads a file once from its start, block by block, and keeps the sha256 of what it read.

    Args:
        path: the file.
        on_read: called with the bytes read so far and the file's size, after each block; may raise to stop the load.
    """

    def __init__(self, path: Path, on_read: Callable[[int, int], None] = lambda *_: None) -> None:
        self.path = path
        self.read_bytes = 0
        self._on_read = on_read
        self._hash = hashlib.sha256()
        self._file: BinaryIO = path.open("rb")
        self._stat = os.fstat(self._file.fileno())
        self.size_bytes = self._stat.st_size

    def __enter__(self) -> DeliveryReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read_block(self, size: int = BLOCK_BYTES) -> bytes:
        """The next block; empty at the end of the file."""
        block = self._file.read(size)
        if block:
            self._hash.update(block)
            self.read_bytes += len(block)
            self._on_read(self.read_bytes, self.size_bytes)
        return block

    def sha256(self) -> str:
        """Sha256 of the whole file; what nobody has read yet is read now."""
        while self.read_block():
            pass
        return self._hash.hexdigest()

    def check_unchanged(self) -> None:
        """Check that the path still holds the file as it was when it was opened.

        Raises:
            FileUnfinished: size, time of change or identity differ, or the file is gone.
        """
        try:
            now = self.path.stat()
        except FileNotFoundError:
            raise FileUnfinished("went away while it was read") from None
        before = (self._stat.st_size, self._stat.st_mtime_ns, self._stat.st_ino)
        if before != (now.st_size, now.st_mtime_ns, now.st_ino):
            raise FileUnfinished(
                f"changed while it was read ({self.size_bytes} bytes before, {now.st_size} now): the next load takes it"
            )


def check_header(start: bytes, contract: Contract) -> None:
    """Check that the file's first record is the contract's header.

    Raises:
        FileRefused: the file is empty, or has another header; the message shows both side by side.
    """
    if not start:
        raise FileRefused("the file is empty (0 bytes): not even a header")
    # Whether a byte order mark comes first makes no difference: the server skips the header's record whole.
    text = start.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")
    try:
        header = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error as error:
        raise FileRefused(f"the header cannot be read: {error}") from error
    if tuple(header) == contract.column_names:
        return
    raise FileRefused(_header_message(header, list(contract.column_names)))


def _header_message(found: list[str], expected: list[str]) -> str:
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    remarks = [f"missing: {', '.join(missing)}"] if missing else []
    remarks += [f"unknown: {', '.join(map(repr, unknown))}"] if unknown else []
    if not remarks:
        remarks = ["a column is there twice" if len(found) > len(expected) else "the order differs"]
    # A file without a header or of another kind would otherwise fill the screen.
    found = [name if len(name) <= 40 else name[:39] + "…" for name in found[: len(expected) + 10]]
    rows = max(len(expected), len(found))
    width = max(len(name) for name in [*expected, "contract"])
    lines = [f"header is not the contract's ({'; '.join(remarks)})", f"  {'contract':{width}} | file"]
    for left, right in zip(expected + ["-"] * (rows - len(expected)), found + ["-"] * (rows - len(found)), strict=True):
        lines.append(f"  {left:{width}} | {right}{'' if left == right else '   <--'}")
    return "\n".join(lines)


def copy_file(
    conn: psycopg.Connection, table: sql.Identifier, contract: Contract, source: DeliveryReader, *, freeze: bool
) -> int:
    """COPY a file that nobody has read from yet: every record, or none.

    Args:
        conn: open connection, inside the caller's transaction.
        table: target; has the contract's columns, and a default for any other.
        contract: the feed's contract.
        source: the file, at its start.
        freeze: write rows as if vacuum had been there; the table must be new in this transaction.

    Returns:
        How many records the server stored.

    Raises:
        FileRefused: the header differs, or the file would be cut short.
        psycopg.Error: the server refused a record, or is gone; see ``refusal_reason``.
    """
    start = source.read_block(HEADER_BYTES)
    check_header(start, contract)
    columns = sql.SQL(", ").join(map(sql.Identifier, contract.column_names))
    options = sql.SQL("format csv, header true, freeze {}").format(sql.SQL("true" if freeze else "false"))
    statement = sql.SQL("copy {} ({}) from stdin ({})").format(table, columns, options)
    guard = None if conn.info.server_version >= 180000 else _EndMarkerGuard()
    with conn.cursor() as cursor:
        with cursor.copy(statement) as copy:
            block = start
            while block:
                if guard is not None:
                    guard.check(block)
                copy.write(block)
                block = source.read_block()
            if guard is not None:
                guard.check(b"")
        return cursor.rowcount


class _EndMarkerGuard:
    r"""Finds a line that holds only ``\.``, also where a block ends within it."""

    def __init__(self) -> None:
        self._tail = b"\n"  # every line has an end before it then, the first too
        self._line_ends = 0  # before the tail

    def check(self, block: bytes) -> None:
        r"""Check the next block; an empty one says that the file ends here."""
        text = self._tail + (block or b"\n")
        if match := _END_MARKER.search(text) if b"\\." in text else None:
            line = self._line_ends + text.count(b"\n", 0, match.start() + 1)
            raise FileRefused(f"line {line}: holds only \\. and this server would drop all that follows")
        self._tail = text[-3:]  # a marker with its two line ends has four bytes
        self._line_ends += text.count(b"\n", 0, len(text) - len(self._tail))


def refusal_reason(error: psycopg.Error, contract: Contract) -> str | None:
    """Why the server refused a file's content, with line and column; None where the content is not the cause."""
    state = error.sqlstate or ""
    if not state.startswith(_CONTENT_CLASSES):
        return None
    diag = error.diag
    context = diag.context or ""
    place = re.search(r"\bCOPY \S+, line (\d+)(?:, column (\w+))?", context)
    line = f"line {place[1]}" if place else ""
    column_name = (place[2] if place else None) or diag.column_name
    message = diag.message_primary or str(error)
    if diag.constraint_name == range_constraint(contract):
        column_name = contract.event_time
        message = "an event time must be finite and lie in the years 1 to 9999"
    elif state == "23502":
        message = "a required value is missing"
    where = ", ".join(part for part in (line, f"column {column_name}" if column_name else "") if part)
    reason = f"{where}: {message}" if where else message
    return reason.replace("\x00", "\\0")


def as_ingest_error(error: psycopg.Error) -> Exception:
    """What to raise for an error of the server that the file has no part in."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return WarehouseUnreachable(f"warehouse: {' '.join(str(error).split())}")
    return error

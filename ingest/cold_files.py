"""The files that hold the rows of old loads: written, read again, checked and searched.

Target: below the cold folder a compressed file per load, in COPY's text format. ``ingest.cold`` says when.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql

from ingest import ledger
from ingest.digest import sha256_of
from ingest.errors import ColdFileBroken
from ingest.tables import columns_of
from ingest.tombstones import SPACE

_BLOCK = 1 << 20
_LEVEL = 4  # of gzip: a third of the time of the default, for a few percent more
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class ColdLoad:
    """A load whose rows are in a file; ``path`` is below the cold folder, ``sha256`` is that of the file."""

    path: str
    load_id: int
    feed: str
    row_count: int
    sha256: str
    first_date: date
    last_date: date

    def describe(self) -> str:
        """The file, and what is in it."""
        return f"{self.path} ({self.feed}, {self.row_count:,} rows of {self.first_date} to {self.last_date})"


def check(loads: Sequence[ColdLoad], folder: Path) -> None:
    """Check that the files are there and what they were, before anything is changed.

    Raises:
        ColdFileBroken: one is not; the message names all of them, and what to do.
    """
    if faults := list(broken(loads, folder).values()):
        raise ColdFileBroken(
            "Rows that are needed cannot be brought back:\n"
            + "\n".join(f"  {fault}" for fault in faults)
            + f"\nPut these files back into {folder}, from a backup (its folder cold). If there is none: `growth thaw"
            " --give-up` takes these loads for unloaded; then land what they brought again, and `growth run"
            " --full-refresh`. Nothing was changed."
        )


def broken(loads: Sequence[ColdLoad], folder: Path) -> dict[int, str]:
    """What is wrong with the files of loads, by load; empty where nothing is."""
    faults = {}
    for load in loads:
        try:
            if sha256_of(folder / load.path) != load.sha256:
                faults[load.load_id] = f"{load.describe()} has another content than when it was written (sha256)"
        except OSError as error:
            faults[load.load_id] = f"{load.describe()}: {error.strerror}"
    return faults


def write(
    conn: psycopg.Connection, tables: Sequence[sql.Identifier], mine: sql.Composable, target: Path
) -> tuple[list[int], str]:
    """Write the rows of a load to a file on the disk, and read it again; rows of each table, and the file's sha256."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name, _, _ in columns_of(conn, tables[-1]))
    counts, content = [], hashlib.sha256()
    target.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with (
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        ledger.index_scans_only(conn),
    ):
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed, conn.cursor() as cursor:
            for number, table in enumerate(tables):
                query = sql.SQL("copy (select {} from only {} where {}) to stdout (format text, header {})").format(
                    columns, table, mine, sql.SQL("false" if number else "true")
                )
                with cursor.copy(query) as copy:
                    for block in copy:
                        content.update(block)
                        packed.write(block)
                counts.append(cursor.rowcount)
        file.flush()
        os.fsync(file.fileno())
    for folder in (target.parent, target.parent.parent):
        sync(folder)
    try:
        with gzip.open(target, "rb") as file_again:
            is_whole = hashlib.file_digest(cast(io.BufferedReader, file_again), "sha256").digest() == content.digest()
    except (EOFError, zlib.error, gzip.BadGzipFile):
        is_whole = False
    if not is_whole:
        raise ColdFileBroken(f"{target} does not read as it was written: nothing was deleted")
    return counts, sha256_of(target)


def read(conn: psycopg.Connection, table: sql.Identifier, load: ColdLoad, folder: Path) -> int:
    """COPY a file into a table; columns that the contract has got since are null, as in all rows of before."""
    try:
        with gzip.open(folder / load.path, "rb") as file, conn.cursor() as cursor:
            header = file.readline()
            names = header.decode().rstrip("\n").split("\t")
            columns = sql.SQL(", ").join(map(sql.Identifier, names))
            with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(table, columns)) as copy:
                while block := file.read(_BLOCK):
                    copy.write(block)
            return cursor.rowcount
    except (OSError, EOFError, zlib.error) as error:
        raise ColdFileBroken(f"{load.describe()} cannot be read: {error}") from error


def rows_of(load: ColdLoad, column: str, users: Sequence[str], folder: Path) -> int:
    """How many rows of a load are of any of the users, as ``ingest.tombstones.clean`` compares them."""
    wanted, texts = set(users), [_escaped(user) for user in users]
    count = 0
    try:
        with gzip.open(folder / load.path, "rt", encoding="utf-8", newline="\n") as file:
            place = file.readline().rstrip("\n").split("\t").index(column)
            for line in file:
                if any(text in line for text in texts):
                    count += _unescaped(line.rstrip("\n").split("\t")[place]).strip(SPACE) in wanted
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ColdFileBroken(f"{load.describe()} cannot be read: {error}") from error
    return count


def sync(folder: Path) -> None:
    """Let what a folder names be on the disk, not in memory alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _escaped(text: str) -> str:
    """A text as COPY writes it."""
    text = text.replace("\\", "\\\\")
    for letter, character in _ESCAPES.items():
        text = text.replace(character, f"\\{letter}")
    return text


def _unescaped(field: str) -> str:
    if field == r"\N":  # null is nobody
        return ""
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), field)

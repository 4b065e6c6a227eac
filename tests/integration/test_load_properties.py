"""Random damage to random files: every record is loaded or quarantined, and every byte is accounted for."""

from __future__ import annotations

import csv as csv_module
import io
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from support.corpus import column, contract_of, corpus_database
from support.postgres import PostgresServer

from ingest.contract import CsvFormat
from ingest.ddl import ensure_raw
from ingest.load import LARGE_FILE_BYTES, LoadResult, load_feed
from ingest.records import line_end_of

# More of them by hand: PROPERTY_EXAMPLES=2000 pytest tests/integration/test_load_properties.py
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "20"))
PROFILE = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
COLUMNS = (
    column("id", "bigint"),
    column("at", "timestamptz"),
    column("paid", "boolean", nullable=True),
    column("amount", "numeric", nullable=True),
    column("note", "text", nullable=True),
)
HEADER = b"id,at,paid,amount,note"
VALUES = {
    "id": ["1", "22", "-9223372036854775808"],
    "at": ["2024-01-01", "2024-02-29 10:00:00", "2024-03-01T10:00:00.5+05:30", "1 Mar 2024"],
    "paid": ["true", "f", "", "YES"],
    "amount": ["1.50", "-7", "", "1e3"],
    "note": ["", "x", "a b", "a,b", 'say "x"', "two\nlines", "two\r\nlines", "é", "1,2024-01-01,t,1,x", "\\.", "\r"],
}
DAMAGE = [
    *(b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"x\ry", b"\0", b"\xff", b"\xc3", b"x", b""),
    *(b'"\n', b'\n"', b'","', b"\\.\n"),
]


# Seeded by hypothesis and spread evenly: what it would draw itself is mostly small, and small files hide much.
RANDOM = st.randoms(use_true_random=True)


def good_file(random: Random) -> tuple[bytes, bytes]:
    """The line end and the records of a file that loads whole."""
    end = random.choice([b"\n", b"\r\n", b"\r"])
    records = []
    for _ in range(random.randint(0, 12)):
        fields = [random.choice(values) for values in VALUES.values()]
        for place, value in enumerate(fields):
            if re.search(r'[,"\r\n]', value) or (value and not random.randrange(4)):
                fields[place] = '"' + value.replace('"', '""') + '"'
        records.append(",".join(fields).encode() + end)
    text = b"".join(records)
    return end, text if random.randrange(2) else text.removesuffix(end)


def damaged_file(random: Random) -> bytes:
    """A header and records, with damage below the header."""
    end, text = good_file(random)
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(text))
        kind = random.choice(["insert", "insert", "replace", "delete", "cut a line", "other line end", "any byte"])
        if kind == "insert":
            text = text[:place] + random.choice(DAMAGE) + text[place:]
        elif kind == "replace":
            text = text[:place] + random.choice(DAMAGE) + text[place + 1 :]
        elif kind == "delete":
            text = text[:place] + text[place + random.randint(1, 5) :]
        elif kind == "cut a line":
            following = text.find(b"\n", place)
            text = text[:place] + (text[following:] if following >= 0 else b"")
        elif kind == "other line end":
            text = text[:place] + text[place:].replace(end, random.choice([b"\n", b"\r\n", b"\r"]), 1)
        else:
            text = text[:place] + bytes([random.randrange(256)]) + text[place:]
    return HEADER + end + text


@dataclass(frozen=True)
class Loaded:
    """What became of a file: its rows, as text, and its records in quarantine."""

    rows: tuple[tuple[str | None, ...], ...]
    rejects: tuple[tuple[int, bytes, str | None, str, str], ...]


@dataclass
class Loader:
    """Loads files of three feeds: read at full speed, with care always (COPY knows one spelling of null), and large."""

    conn: psycopg.Connection
    conninfo: str
    landing: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def load(self, feed: str, *contents: bytes) -> list[Loaded]:
        """Load files together, and say what became of each; nothing may be refused, and the ledger must agree."""
        csv = {"nulls": ["", "\\NULL"]} if feed == "careful" else {}
        contract = contract_of(feed, columns=COLUMNS, csv=csv)
        ensure_raw(self.conn, {feed: contract})
        folder = self.landing / feed
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for content in contents:  # a name of its own, or it would be a new content of another file
            (folder / f"{next(self._numbers):09}.csv").write_bytes(content)
        size = 1 if feed == "large" else LARGE_FILE_BYTES
        results = load_feed(self.conninfo, contract, self.landing, run_id=None, workers=2, large_file_bytes=size)
        assert [(result.status, result.error) for result in results] == [("loaded", None)] * len(contents)
        return [self._loaded(feed, result) for result in results]

    def _loaded(self, feed: str, result: LoadResult) -> Loaded:
        rows = self.conn.execute(
            f"select id::text, at::text, paid::text, amount::text, note from raw.{feed} where _load_id = %s"
            " order by 1, 2, 3, 4, 5",
            [result.load_id],
        ).fetchall()
        rejects = self.conn.execute(
            "select line_number, record, column_name, reason, message from raw._rejects where load_id = %s order by 1",
            [result.load_id],
        ).fetchall()
        counts = self.conn.execute(
            "select record_count, loaded_count, rejected_count from raw._loads where load_id = %s", [result.load_id]
        ).fetchone()
        assert counts == (len(rows) + len(rejects), len(rows), len(rejects))
        return Loaded(tuple(rows), tuple(rejects))

    def clear(self) -> None:
        """Forget all loads."""
        tables = self.conn.execute("select inhrelid::regclass::text from pg_inherits where inhparent > 0").fetchall()
        for (table,) in tables:
            if "_load_" in table and "idx" not in table:
                self.conn.execute(f"drop table {table}")
        self.conn.execute("truncate raw._loads, raw._rejects, raw._changed_days")
        for feed in ("fast", "careful", "large"):
            self.conn.execute(f"drop table if exists raw.{feed}, raw._removed_{feed}")


@pytest.fixture(scope="module")
def loader(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    folder = tmp_path_factory.mktemp("landing")
    with (
        corpus_database(postgres_server, f"properties_{os.getpid()}", folder) as bench,
        psycopg.connect(bench.conninfo, autocommit=True) as conn,
    ):
        yield Loader(conn, bench.conninfo, folder)


def without_rejects(content: bytes, loaded: Loaded) -> bytes:
    """The file without its quarantined records and their line ends; each must lie where it is said to."""
    start = content.find(b"id")
    header_end = re.compile(rb"\r\n|\r|\n").search(content, start).end()
    line_end = line_end_of(content[header_end:], CsvFormat(), content[:header_end])
    line_ends = re.finditer(re.escape(line_end[-1:]), content[header_end:])
    starts = [0, header_end, *(header_end + match.end() for match in line_ends)]
    kept, position = [], 0
    for line_number, record, *_ in loaded.rejects:
        begin = starts[line_number - 1]
        assert begin >= position
        assert content.startswith(record, begin)
        end = begin + len(record)
        ends = [text for text in (line_end, b"\n") if content.startswith(text, end)]
        assert ends or end == len(content), "the record is cut short"
        kept.append(content[position:begin])
        position = end + len(ends[0]) if ends else end
    return b"".join([*kept, content[position:]])


def notes_of(content: bytes) -> list[str]:
    """The last column as Python reads it, which knows no difference between null and an empty text."""
    rows = csv_module.reader(io.StringIO(content.decode(), newline=""), strict=True)
    return sorted(row[4] for row in list(rows)[1:])


@PROFILE
@given(RANDOM)
def test_every_record_is_loaded_or_quarantined_and_every_byte_accounted_for(loader: Loader, random: Random) -> None:
    contents = [damaged_file(random) for _ in range(4)]
    for content in contents:
        note(repr(content))
    try:
        fast = loader.load("fast", *contents, *contents)
        assert fast[len(contents) :] == fast[: len(contents)], "another time, another result"
        fast = fast[: len(contents)]
        assert loader.load("large", *contents) == fast
        assert loader.load("careful", *contents) == fast
        rests = [without_rejects(content, loaded) for content, loaded in zip(contents, fast, strict=True)]
        for rest, again, loaded in zip(rests, loader.load("fast", *rests), fast, strict=True):
            assert again == Loaded(loaded.rows, ()), "what loaded does not load without what did not"
            assert notes_of(rest) == sorted(row[4] or "" for row in loaded.rows)
    finally:
        loader.clear()


@settings(PROFILE, max_examples=EXAMPLES // 2)
@given(RANDOM)
def test_a_file_without_damage_loads_whole_in_every_way(loader: Loader, random: Random) -> None:
    contents = [HEADER + end + text for end, text in (good_file(random) for _ in range(4))]
    for content in contents:
        note(repr(content))
    try:
        fast = loader.load("fast", *contents)
        assert [loaded.rejects for loaded in fast] == [()] * len(contents)
        for content, loaded in zip(contents, fast, strict=True):
            assert notes_of(content) == sorted(row[4] or "" for row in loaded.rows)
        assert loader.load("careful", *contents) == fast
        assert loader.load("large", *contents) == fast
    finally:
        loader.clear()

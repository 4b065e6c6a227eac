r"""The ways to get a file into Postgres that are compared, and how each is prepared, run and checked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.database import DLT_SCHEMA, PLAIN_TABLE, checkpoint, count_rows, create_plain_table, drop_tables
from bench.files import FileSet, read_through
from bench.measure import Measured, ProcessFailed, run
from embedded.binaries import psql_binary
from ingest.contract import Contract
from ingest.ddl import ensure_raw

FOLDER = Path(__file__).resolve().parent
FEEDS = FOLDER.parent / "ingest" / "feeds"
OTHERS_PYTHON = Path(sys.prefix) / "bench" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Bench:
    """What all ways share: database, environment of the client processes, contract, files, landing folder."""

    conninfo: str
    environment: Mapping[str, str]
    contract: Contract
    files: FileSet
    landing: Path


@dataclass(frozen=True, slots=True)
class Way:
    """One way: ``reference`` is the name of the way that its seconds are divided by.

    ``prepare`` makes what must be there; ``commands`` run side by side, timed; ``expected`` rows must then be in
    ``tables``. ``sources`` are the files that are read.
    """

    name: str
    title: str
    prepare: Callable[[Bench], None]
    sources: Callable[[Bench], Sequence[Path]]
    commands: Callable[[Bench], Sequence[Sequence[str]]]
    expected: Callable[[Bench], Mapping[str, int]]
    reference: str = "psql"

    def measure(self, bench: Bench) -> Measured:
        """Run the way once.

        Raises:
            ProcessFailed: it ended with an error, or did not load what it should have.
            Unavailable: what it needs is not installed.
        """
        sources = self.sources(bench)
        self.prepare(bench)
        for path in sources:
            read_through(path)
        checkpoint(bench.conninfo)
        measured = run(self.commands(bench), bench.environment)
        if reason := measured.report.get("unavailable"):
            raise Unavailable(reason)
        if reason := measured.report.get("failed"):
            raise ProcessFailed(reason)
        for table, expected in self.expected(bench).items():
            if (found := count_rows(bench.conninfo, table)) != expected:
                raise ProcessFailed(f"{found:,} rows in {table} instead of {expected:,}")
        return measured


class Unavailable(Exception):
    """What a way needs is not installed; the text says what."""


def _empty_table(bench: Bench) -> None:
    drop_tables(bench.conninfo, keep_raw=False)
    create_plain_table(bench.conninfo, bench.contract)


def _nothing(bench: Bench) -> None:
    drop_tables(bench.conninfo, keep_raw=False)


def _empty_raw(bench: Bench) -> None:
    drop_tables(bench.conninfo, keep_raw=False)
    with psycopg.connect(bench.conninfo, autocommit=True) as conn:
        ensure_raw(conn, {bench.contract.feed: bench.contract})


def _landed(bench: Bench) -> Path:
    return bench.landing / bench.contract.feed / "sessions.csv"


def _land(bench: Bench, source: Path) -> None:
    """Put a file where it is loaded from, always under the same name."""
    target = _landed(bench)
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    os.link(source, target)


def _land_new(source: Callable[[FileSet], Path]) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        _empty_raw(bench)
        _land(bench, source(bench.files))

    return prepare


def _land_over(source: Callable[[FileSet], Path]) -> Callable[[Bench], None]:
    """The plain file is loaded, and its path then has the content of ``source``."""

    def prepare(bench: Bench) -> None:
        table = f"raw.{bench.contract.feed}"
        if count_rows(bench.conninfo, table) != bench.files.rows:
            _land_new(FileSet.plain)(bench)
            run(_load_feed("loaded")(bench), bench.environment)
        _land(bench, source(bench.files))

    return prepare


def _psql(bench: Bench, path: Path, header: bool = True) -> Sequence[str]:
    command = f"\\copy {PLAIN_TABLE} from '{path}' with (format csv, header {str(header).lower()})"
    return (str(psql_binary()), "--no-psqlrc", "--quiet", "--command", command)


def _load_feed(status: str) -> Callable[[Bench], Sequence[Sequence[str]]]:
    return lambda bench: [(sys.executable, "-m", "bench.way_load_feed", str(FEEDS), str(bench.landing), status)]


def _other(script: str, source: Callable[[FileSet], Path], table: str) -> Callable[[Bench], Sequence[Sequence[str]]]:
    def commands(bench: Bench) -> Sequence[Sequence[str]]:
        if not OTHERS_PYTHON.exists():
            raise Unavailable("install bench/requirements.txt with `make bench-load`")
        types = json.dumps({column.name: column.type for column in bench.contract.columns})
        return [(str(OTHERS_PYTHON), "-P", str(FOLDER / script), str(source(bench.files)), table, types)]

    return commands


def _rows(table: str, rows: Callable[[FileSet], int]) -> Callable[[Bench], Mapping[str, int]]:
    return lambda bench: {table: rows(bench.files)}


def _one(source: Callable[[FileSet], Path]) -> Callable[[Bench], Sequence[Path]]:
    return lambda bench: [source(bench.files)]


WAYS = (
    Way(
        "psql",
        r"psql \copy",
        _empty_table,
        _one(FileSet.plain),
        lambda bench: [_psql(bench, bench.files.plain())],
        _rows(PLAIN_TABLE, lambda files: files.rows),
    ),
    Way(
        "psql-two",
        r"psql \copy, two at once, each half of the file",
        _empty_table,
        lambda bench: bench.files.halves(),
        lambda bench: [_psql(bench, path, path == bench.files.halves()[0]) for path in bench.files.halves()],
        _rows(PLAIN_TABLE, lambda files: files.rows),
    ),
    Way(
        "load-new",
        "load_feed, new file",
        _land_new(FileSet.plain),
        _one(FileSet.plain),
        _load_feed("loaded"),
        _rows("raw.sessions", lambda files: files.rows),
    ),
    Way(
        "load-again",
        "load_feed, the same file again (skipped)",
        _land_over(FileSet.plain),
        _one(FileSet.plain),
        _load_feed("skipped"),
        _rows("raw.sessions", lambda files: files.rows),
    ),
    Way(
        "load-replaced",
        "load_feed, new content of the same path",
        _land_over(FileSet.changed),
        _one(FileSet.changed),
        _load_feed("loaded"),
        _rows("raw.sessions", lambda files: files.rows + 1),
    ),
    Way(
        "load-bad",
        "load_feed, new file with 1 % bad records",
        _land_new(FileSet.bad),
        _one(FileSet.bad),
        _load_feed("loaded"),
        lambda bench: {
            "raw.sessions": bench.files.rows - bench.files.bad_rows,
            "raw._rejects": bench.files.bad_rows,
        },
    ),
    Way(
        "dlt",
        "dlt, the file imported as it is",
        _nothing,
        _one(FileSet.plain),
        _other("way_dlt.py", FileSet.plain, f"{DLT_SCHEMA}.{PLAIN_TABLE}"),
        _rows(f"{DLT_SCHEMA}.{PLAIN_TABLE}", lambda files: files.rows),
    ),
    Way(
        "duckdb",
        "DuckDB, insert through its extension postgres",
        _empty_table,
        _one(FileSet.plain),
        _other("way_duckdb.py", FileSet.plain, PLAIN_TABLE),
        _rows(PLAIN_TABLE, lambda files: files.rows),
    ),
    Way(
        "psql-small",
        r"psql \copy, the small file",
        _empty_table,
        _one(FileSet.small),
        lambda bench: [_psql(bench, bench.files.small())],
        _rows(PLAIN_TABLE, lambda files: files.small_rows),
        reference="psql-small",
    ),
    Way(
        "pandas",
        "pandas.to_sql, the small file",
        _empty_table,
        _one(FileSet.small),
        _other("way_pandas.py", FileSet.small, PLAIN_TABLE),
        _rows(PLAIN_TABLE, lambda files: files.small_rows),
        reference="psql-small",
    ),
)

"""Files of a small feed, each with what must become of it: its rows, its quarantined records, or why it is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ingest.contract import Contract
from ingest.ddl import ensure_raw
from ingest.load import LARGE_FILE_BYTES, LoadResult, load_feed
from support.postgres import PostgresServer

HEADER = b"id,at,note"
Row = tuple[int, str, str | None]  # id, at (midnight left out), note
Rejected = tuple[int, bytes, str | None, str]  # line number, record, column, reason


def column(name: str, kind: str, *, nullable: bool = False, **more: object) -> dict[str, object]:
    """A column as a contract has it."""
    return {"name": name, "type": kind, "nullable": nullable, "description": name, **more}


ID = column("id", "bigint")
AT = column("at", "timestamptz")
NOTE = column("note", "text", nullable=True)


def contract_of(feed: str, **more: object) -> Contract:
    """A contract that tolerates every reject, unless told otherwise."""
    return Contract.model_validate(
        {
            **{"feed": feed, "domain": "test", "description": "Notes.", "event_time": "at", "user": "id"},
            **{"key": ["id"], "cadence": "daily", "freshness": {"warn_after_days": 1, "error_after_days": 2}},
            **{"max_reject_rate": 1.0, "columns": (ID, AT, NOTE)},
            **more,
        }
    )


@dataclass(frozen=True)
class Outcome:
    """What became of a file; of the reason of a refusal only as much as is expected."""

    status: str
    rows: tuple[Row, ...] = ()
    rejects: tuple[Rejected, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Case:
    """One file and what must become of it; ``contract`` is what differs from ``contract_of``."""

    name: str
    content: bytes
    expected: Outcome
    file_name: str = "a.csv"
    contract: dict[str, Any] = field(default_factory=dict)


def good(number: int) -> bytes:
    """A record that loads, without its line end."""
    return f"{number},2024-01-{number:02},n{number}".encode()


def good_row(number: int) -> Row:
    """What ``good`` is in raw."""
    return number, f"2024-01-{number:02}", f"n{number}"


def case(
    name: str,
    *parts: int | bytes,
    rows: Sequence[Row] = (),
    rejects: Sequence[Rejected] = (),
    error: str | None = None,
    end: bytes = b"\n",
    header: bytes = HEADER,
    file_name: str = "a.csv",
    **contract: Any,
) -> Case:
    """A file of records below a header: numbers stand for good ones, bytes are themselves; ``rows`` are more rows.

    A good record and the header get the line end, bytes have their own. ``error`` is how the reason of a refusal
    begins; without it the file loads.
    """
    content = b"".join(good(part) + end if isinstance(part, int) else part for part in parts)
    content = header + end + content if header else content
    if error is not None:
        return Case(name, content, Outcome("refused", error=error), file_name, contract)
    expected = [good_row(part) for part in parts if isinstance(part, int)] + list(rows)
    expected.sort(key=lambda row: row[:2])
    return Case(name, content, Outcome("loaded", tuple(expected), tuple(rejects)), file_name, contract)


@dataclass
class CorpusBench:
    """A database in which every file gets a feed of its own."""

    conninfo: str
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_contract(self, case: Case) -> Contract:
        """A contract for the case, with its raw table."""
        contract = contract_of(f"notes{next(self._numbers)}", **case.contract)
        with psycopg.connect(self.conninfo) as conn:
            ensure_raw(conn, {contract.feed: contract})
        return contract

    def load(self, contract: Contract, file_name: str, content: bytes, *, large: bool) -> LoadResult:
        """Land one file and load it, as a small or as a large one."""
        path = self.folder / contract.feed / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        size = 1 if large else LARGE_FILE_BYTES
        results = load_feed(self.conninfo, contract, self.folder, run_id=None, workers=2, large_file_bytes=size)
        (result,) = [result for result in results if result.source_file == f"{contract.feed}/{file_name}"]
        path.unlink()
        return result

    def query(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with psycopg.connect(self.conninfo) as conn:
            return conn.execute(query, parameters).fetchall()  # type: ignore[call-overload,no-any-return]

    def rows(self, feed: str) -> list[Row]:
        """The feed's rows in raw."""
        return self.query(
            f"select id, replace(at::text, ' 00:00:00+00', ''), note from raw.{feed} order by id, at, note"
        )

    def rejects(self, feed: str) -> list[Rejected]:
        """The feed's records in quarantine."""
        return self.query(
            "select line_number, record, column_name, reason from raw._rejects where feed = %s order by load_id, 1",
            feed,
        )

    def outcome(self, case: Case, *, large: bool) -> Outcome:
        """Load the case's file, and say what came of it; the ledger, raw and the result must agree."""
        contract = self.new_contract(case)
        result = self.load(contract, case.file_name, case.content, large=large)
        ((status, error, *counts),) = self.query(
            "select status, error, record_count, loaded_count, rejected_count from raw._loads where feed = %s",
            contract.feed,
        )
        rows = self.rows(contract.feed)
        rejects = self.rejects(contract.feed)
        days = self.query("select event_date::text from raw._changed_days where feed = %s order by 1", contract.feed)
        assert (result.status, result.error) == (status, error), result
        assert counts == [len(rows) + len(rejects), len(rows), len(rejects)], counts
        assert (result.loaded_count, result.rejected_count) == (len(rows), len(rejects)), result
        assert [day for (day,) in days] == sorted({at[:10] for _, at, _ in rows}), days
        return Outcome(status, tuple(rows), tuple(rejects), error and error[: len(case.expected.error or error)])


@contextmanager
def corpus_database(server: PostgresServer, name: str, folder: Path) -> Iterator[CorpusBench]:
    """A database of that name on the server, gone afterwards."""
    identifier = sql.Identifier(name)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(identifier))
        conn.execute(sql.SQL("alter database {} set timezone = 'UTC'").format(identifier))
    yield CorpusBench(server.conninfo(name), folder)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(identifier))

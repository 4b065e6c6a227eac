"""Put the records of one file into raw, in the transaction of its load.

A small file goes straight into ``raw.<feed>``. A large one is streamed over several connections into load tables of
its own, which the load's transaction then makes children of ``raw.<feed>``: written without a vacuum to follow, and
taken out again by detaching them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql

from ingest import ledger
from ingest.contract import EVENT_TIME_TYPES, EXTRACT_DATE, Contract
from ingest.copy import connect, copy_records, in_parallel
from ingest.errors import IngestError, NeedsCare
from ingest.judge import Spool
from ingest.reading import RecordStream
from ingest.tables import (
    LOAD_ID_SETTING,
    column_definition,
    create_time_index,
    load_table,
    raw_table,
    time_range,
    value_checks,
)

# The word comes first in its pattern: searching for a text is several times as quick as trying every place.
_RELATIVE_TIMES = {
    word: re.compile(word + rb"(?<![a-z]" + word + rb")(?![a-z])")
    for word in (b"now", b"today", b"tomorrow", b"yesterday")
}
_LETTERS_AT_END = re.compile(rb"[a-z]+\Z")
_LONGER_THAN_ANY = 64


@dataclass(frozen=True, slots=True)
class Filled:
    """What COPY stored: how many records, of which UTC days, and whether one lies so near to now that it may say so."""

    record_count: int
    days: frozenset[date]
    is_recent: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file's records go, and as what: the load, and the extract date of a full extract."""

    contract: Contract
    load_id: int
    extract_date: date | None


def fill_raw_table(conn: psycopg.Connection, target: Target, stream: RecordStream, suspects: Spool | None) -> Filled:
    """COPY into raw.<feed> itself, and find the days of the new rows without reading the old ones."""
    contract, table = target.contract, raw_table(target.contract.feed)
    conn.execute("select set_config(%s, %s, true)", [LOAD_ID_SETTING, str(target.load_id)])
    columns = _columns_of(stream)
    chunks = stream.records() if suspects is None else stream.sure_records(suspects)
    if stream.header.added or contract.has_extract_date:
        # COPY can neither leave a field out nor fill a column with a constant.
        temporary = sql.Identifier("pg_temp", "_arrived")
        conn.execute(
            sql.SQL("create temporary table _arrived ({}) on commit drop").format(_definitions(contract, columns))
        )
        stored = copy_records(conn, temporary, columns, stream.csv, stream.line_end, chunks)
        taken = [sql.Identifier(name) for name in stream.header.columns if name is not None]
        extra = _constants(target)[1:]  # the setting above gives the load
        conn.execute(
            sql.SQL("insert into {} ({}) select {} from pg_temp._arrived").format(
                table,
                sql.SQL(", ").join([*taken, *(sql.Identifier(name) for name, _, _ in extra)]),
                sql.SQL(", ").join([*taken, *(value for _, _, value in extra)]),
            )
        )
        conn.execute("drop table pg_temp._arrived")
    else:
        stored = copy_records(conn, table, columns, stream.csv, stream.line_end, chunks)
    condition = sql.SQL("_load_id = {}").format(sql.Literal(target.load_id))
    only = sql.SQL("only {}").format(table)
    with ledger.index_scans_only(conn):
        days = ledger.days_in(conn, contract, only, condition)
        is_recent = suspects is None and _is_recent(conn, contract, only, condition)
    if stored != sum(days.values()):
        raise IngestError(f"COPY stored {stored} records, {sum(days.values())} are found")
    return Filled(stored, frozenset(days), is_recent)


def fill_load_tables(
    conninfo: str,
    target: Target,
    stream: RecordStream,
    suspects: Spool | None,
    stream_count: int,
) -> Filled:
    """Stream into load tables, each committed on its own; ``attach_load_tables`` makes them part of raw.<feed>."""
    chunks = stream.records() if suspects is None else stream.sure_records(suspects)

    def fill(part: int, dealt: Iterator[bytes]) -> Filled:
        with connect(conninfo, target.contract) as conn, conn.transaction():
            return _fill_load_table(conn, target, stream, part, dealt, is_sure=suspects is not None)

    parts = in_parallel(stream_count, fill, chunks)
    return Filled(
        sum(part.record_count for part in parts),
        frozenset().union(*(part.days for part in parts)),
        any(part.is_recent for part in parts),
    )


def attach_load_tables(conn: psycopg.Connection, target: Target) -> None:
    """Make the load's tables children of raw.<feed>: readers see them when the transaction commits."""
    contract = target.contract
    ledger.lock_children(conn, contract.feed)
    for table in ledger.load_tables(conn, contract.feed, target.load_id):
        conn.execute(sql.SQL("alter table {} inherit {}").format(table, raw_table(contract.feed)))


def _fill_load_table(
    conn: psycopg.Connection, target: Target, stream: RecordStream, part: int, dealt: Iterable[bytes], *, is_sure: bool
) -> Filled:
    contract, table = target.contract, load_table(target.contract.feed, target.load_id, part)
    columns = _columns_of(stream)
    # Without the names that raw.<feed> has for them: Postgres 17 and older would not detach the table again.
    checks = [sql.SQL("check ({})").format(condition) for condition in value_checks(contract).values()]
    layout = sql.SQL(", ").join([_definitions(contract, columns), *checks])
    conn.execute(sql.SQL("create table {} ({})").format(table, layout))
    stored = copy_records(conn, table, columns, stream.csv, stream.line_end, dealt, freeze=True)
    if stored == 0:
        conn.execute(sql.SQL("drop table {}").format(table))
        return Filled(0, frozenset(), False)
    # A column that comes after the rows, with one value for all of them, costs no row anything.
    changes = [
        sql.SQL("drop column {}").format(sql.Identifier(name))
        for name, known in zip(columns, stream.header.columns, strict=True)
        if known is None
    ]
    changes += [
        sql.SQL("add column {}").format(column_definition(contract.column(name))) for name in stream.header.missing
    ]
    changes += [
        sql.SQL("add column {} {} not null default {}").format(sql.Identifier(name), sql.SQL(kind), value)
        for name, kind, value in reversed(_constants(target))
    ]
    conn.execute(sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(changes)))
    conn.execute(create_time_index(contract, table, with_load_id=False))
    conn.execute(sql.SQL("analyze {}").format(table))
    is_recent = False
    if not is_sure:
        _check_time_range(conn, contract, table)
        is_recent = _is_recent(conn, contract, table, sql.SQL("true"))
    return Filled(stored, frozenset(ledger.days_by_index(conn, contract, table)), is_recent)


def _columns_of(stream: RecordStream) -> list[str]:
    """A column for each field of the file; no contract's column begins with an underscore."""
    return [name or f"_added_{place}" for place, name in enumerate(stream.header.columns)]


def _definitions(contract: Contract, columns: Iterable[str]) -> sql.Composed:
    known = set(contract.column_names)
    return sql.SQL(", ").join(
        column_definition(contract.column(name)) if name in known else sql.SQL("{} text").format(sql.Identifier(name))
        for name in columns
    )


def _constants(target: Target) -> list[tuple[str, str, sql.Composable]]:
    """Name, type and value of the columns that are the same for all rows of a load."""
    constants: list[tuple[str, str, sql.Composable]] = [("_load_id", "bigint", sql.Literal(target.load_id))]
    if target.extract_date is not None:
        day = sql.SQL("date {}").format(sql.Literal(target.extract_date.isoformat()))
        constants.append((EXTRACT_DATE, "date", day))
    return constants


def _check_time_range(conn: psycopg.Connection, contract: Contract, table: sql.Identifier) -> None:
    """Look for event times outside of the years that are allowed, by index: a check of each row costs more."""
    first, end = time_range(contract.time_type)
    time = sql.Identifier(contract.time_column)
    query = sql.SQL("select exists (select from {} where {} < {} or {} >= {})").format(table, time, first, time, end)
    with ledger.index_scans_only(conn):
        row = conn.execute(query).fetchone()
    if row and row[0]:
        raise NeedsCare("an event time outside of the years 1 to 9999")


def _is_recent(conn: psycopg.Connection, contract: Contract, table: sql.Composable, condition: sql.Composable) -> bool:
    """Whether a time lies between yesterday and tomorrow, as one does that says ``now`` or ``today``."""
    names = [column.name for column in contract.columns if column.type in EVENT_TIME_TYPES]
    near = [
        sql.SQL("({0} >= current_date - 1 and {0} < current_date + 2)").format(sql.Identifier(name)) for name in names
    ]
    if not near:
        return False
    row = conn.execute(
        sql.SQL("select exists (select from {} where {} and ({}))").format(table, condition, sql.SQL(" or ").join(near))
    ).fetchone()
    return bool(row and row[0])


def names_a_relative_time(blocks: Callable[[], bytes]) -> bool:
    """Whether a text has a word for a time that depends on when it is read, in whatever case.

    The word must stand alone among letters, as it must for the server: unknown is none.

    Args:
        blocks: gives the next block, empty at the end.
    """
    tail = b""
    while block := blocks():
        text = (tail + block).lower()
        # What may go on in the next block is looked at with it; so long a word is none of them.
        letters_at_end = _LETTERS_AT_END.search(text[-_LONGER_THAN_ANY:])
        tail = letters_at_end.group() if letters_at_end else b""
        if _has_relative_time(text[: len(text) - len(tail)]):
            return True
    return _has_relative_time(tail)


def _has_relative_time(text: bytes) -> bool:
    return any(word in text and pattern.search(text) for word, pattern in _RELATIVE_TIMES.items())

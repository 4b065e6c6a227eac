"""Whatever the pattern of plain records matches, the server takes in one COPY, with the values that casts give."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql
from support.corpus import column, contract_of
from support.postgres import PostgresServer

from ingest import plain
from ingest.contract import Contract
from ingest.copy import connect, copy_records
from ingest.header import positional
from ingest.records import RecordReader
from ingest.tables import column_definition, value_checks

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))
COLUMNS = (
    column("id", "bigint", nullable=True),
    column("small", "integer", nullable=True),
    column("amount", "numeric", nullable=True),
    column("paid", "boolean", nullable=True),
    column("day", "date", nullable=True),
    column("at", "timestamptz"),
    column("kind", "text", nullable=True, accepted_values=["a", "a,b", "a;b", "é", 'q"', "''", "a b", "1"]),
    column("short", "text", nullable=True, max_length=3),
    column("note", "text"),
)
FORMATS: list[dict[str, Any]] = [
    {},
    {"delimiter": ";", "quote": "'"},
    {"delimiter": ":", "date_order": "DMY"},
    {"delimiter": "-", "nulls": ["NULL"]},
    {"delimiter": " ", "nulls": ["0"], "date_order": "MDY"},
    {"delimiter": "\t", "quote": "-"},
    {"quote": "^", "nulls": ["", "a", "1"]},
]
# Mostly what the patterns themselves make; some of each that is nearly so.
ODD: dict[str, list[str]] = {
    "bigint": ["", "9223372036854775807", "9223372036854775808", "-0", "1_0", "0x1", " 1", "+1", "1.0", "NULL"],
    "integer": ["", "999999999", "2147483648", "-2147483648", "01"],
    "numeric": ["", "NaN", "1e5", ".5", "1.", "-0.0", "infinity"],
    "boolean": ["", "yes", "on", "tr", "TRUE", "2"],
    "date": ["", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "01/02/2024", "now", "2024-1-1"],
    "timestamptz": ["", "0001-01-01", "9999-12-31 23:59", "2024-01-01 24:00", "today", "2024-01-01T10:00Z"],
    "text": ["", "a", "é", "a,b", 'a"b', "''", "a b", "\\.", "NULL", "0", "-", "a\nb", "a\r", "äöü", "äöüß", "1;2"],
}
COMMON = ["7", "7", "7.5", "t", "2024-01-01", "2024-01-01 10:00", "a b", "abc", "x"]


def contract(**csv: Any) -> Contract:
    return contract_of("values", columns=COLUMNS, csv=csv)


@st.composite
def fields(draw: st.DrawFn, kind: str, accepted: tuple[str, ...] | None, quote: str) -> str:
    values = st.sampled_from([*ODD[kind], *(accepted or ())])
    if kind != "text":
        values |= st.from_regex(plain._VALUES[kind], fullmatch=True).map(bytes.decode)
    value = draw(values)
    style = draw(st.sampled_from(["bare", "bare", "quoted", "wrongly quoted"]))
    if style == "bare":
        return value
    return quote + (value.replace(quote, quote * 2) if style == "quoted" else value) + quote


@st.composite
def texts(draw: st.DrawFn) -> tuple[Contract, bytes, list[bytes]]:
    """A contract, a line end, and records of which many are plain."""
    visits = contract(**draw(st.sampled_from(FORMATS)))
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quote, lines = visits.csv.quote, []
    for _ in range(draw(st.integers(1, 6))):
        values = [quote + value + quote for value in COMMON]
        for place in draw(st.lists(st.integers(0, len(COLUMNS) - 1), max_size=3)):
            drawn = visits.columns[place]
            values[place] = draw(fields(drawn.type, drawn.accepted_values, quote))
        lines.append((visits.csv.delimiter.join(values) + line_end).encode())
    return visits, line_end.encode(), lines


@pytest.fixture(scope="module")
def conn(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    """A connection as a load has it, and two tables to fill: copied_rows and cast_rows."""
    name = f"plain_{os.getpid()}"
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    conninfo = postgres_server.conninfo(name)
    visits = contract()
    definitions = [
        *map(column_definition, visits.columns),
        *(sql.SQL("check ({})").format(condition) for condition in value_checks(visits).values()),
    ]
    with psycopg.connect(conninfo) as conn:
        for table in ("copied_rows", "cast_rows"):
            layout = sql.SQL(", ").join(definitions)
            conn.execute(sql.SQL("create table {} ({})").format(sql.Identifier(table), layout))
    with connect(conninfo, visits) as conn:
        yield conn
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@settings(max_examples=EXAMPLES, derandomize=True)
@given(texts(), st.booleans())
def test_what_matches_loads_as_casts_read_it(
    conn: psycopg.Connection, text: tuple[Contract, bytes, list[bytes]], ascii_only: bool
) -> None:
    visits, line_end, lines = text
    header = positional(visits)
    pattern = plain.plain_records(visits, header, visits.csv, line_end, ascii_only=ascii_only)
    matched = [match.group() for line in lines if (match := pattern.match(line)) is not None and match.group()]
    assert all(chunk.endswith(line_end) for chunk in matched)
    assert not ascii_only or all(_is_plain_ascii(chunk) for chunk in matched)
    # each line of a run is a record
    records = [line + line_end for chunk in matched for line in chunk.split(line_end)[:-1]]
    reader = RecordReader(visits, header, visits.csv, line_end)
    suspects = [reader.suspect(record, 1) for record in records]
    assert [suspect.fault for suspect in suspects] == [None] * len(suspects)
    with conn.transaction(force_rollback=True):
        conn.execute(sql.SQL("set local datestyle = {}").format(sql.Literal(f"ISO, {visits.csv.date_order}")))
        table = sql.Identifier("copied_rows")
        assert copy_records(conn, table, visits.column_names, visits.csv, line_end, matched) == len(records)
        casts = sql.SQL(", ").join(sql.SQL(f"cast(%s::text as {column.type})") for column in visits.columns)  # type: ignore[arg-type]
        with conn.cursor() as cursor:
            cursor.executemany(
                sql.SQL("insert into cast_rows values ({})").format(casts), [suspect.fields for suspect in suspects]
            )
        difference = "(table {} except all table {})"
        for left, right in (("copied_rows", "cast_rows"), ("cast_rows", "copied_rows")):
            assert conn.execute(difference.format(left, right)).fetchall() == []


def _is_plain_ascii(chunk: bytes) -> bool:
    return chunk.replace("é".encode(), b"").isascii()  # an accepted value is what the contract says


@pytest.mark.parametrize(
    "record",
    [
        b"1,2,3.5,t,2024-02-29,2024-01-01 10:00:00,a,abc,x\n",
        b"-1,-2,-3,FALSE,0001-01-01,2024-01-01T10:00:00.123456Z,\xc3\xa9,\xc3\xa9,x y\n",
        b',,,,,2024-01-01 10:00:00+05:30,,,""\n',
        b'"1","2","3.5","true","2024-01-31","2024-01-01 00:00","a,b","""","a ""b"", c"\n',
        b"1,2,3,0,2024-01-01,2024-01-01,,,\\.\n",
    ],
)
def test_common_records_are_plain(record: bytes) -> None:
    """Each of them that were not would be judged alone: right, and slow."""
    visits = contract()
    pattern = plain.plain_records(visits, positional(visits), visits.csv, b"\n", ascii_only=False)
    match = pattern.match(record * 3)
    assert match is not None
    assert match.end() == 3 * len(record)


@pytest.mark.parametrize("ascii_only", [False, True])
def test_nothing_matches_what_is_no_utf8_or_no_text(ascii_only: bool) -> None:
    visits = contract()
    pattern = plain.plain_records(visits, positional(visits), visits.csv, b"\n", ascii_only=ascii_only)
    start = b"1,2,3.5,t,2024-02-29,2024-01-01 10:00:00,a,abc,"
    for note in (b"\0", b"a\rb", b'a"', b'"a', b'"a"b', b'"a\nb"', b"") + ((b"\xc3\xa9",) if ascii_only else ()):
        match = pattern.match(start + note + b"\n")
        assert match is not None
        assert match.end() == 0, note

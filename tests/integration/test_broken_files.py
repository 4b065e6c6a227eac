"""Records that cannot be loaded are quarantined, each with its place, its bytes and the reason; the others load."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from support.corpus import AT, ID, Case, CorpusBench, case, column, corpus_database, good, good_row
from support.postgres import PostgresServer

LARGE = pytest.mark.parametrize("large", [False, True], ids=["small", "large"])


@pytest.fixture(scope="module")
def corpus(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusBench]:
    with corpus_database(postgres_server, f"broken_{os.getpid()}", tmp_path_factory.mktemp("landing")) as bench:
        yield bench


def one(record: bytes, column_name: str | None, reason: str, **more: Any) -> Case:
    """A file with one bad record between good ones."""
    name = f"{reason} {record.decode('ascii', 'backslashreplace')}"
    return case(name, 1, record + b"\n", 2, rejects=[(3, record, column_name, reason)], **more)


VALUES = [
    one(b"seven,2024-01-01,x", "id", "wrong_type"),
    one(b"1.5,2024-01-01,x", "id", "wrong_type"),
    one(b'"",2024-01-01,x', "id", "wrong_type"),
    one(b"7); drop table raw._loads; --,2024-01-01,x", "id", "wrong_type"),
    one(b"9223372036854775808,2024-01-01,x", "id", "out_of_range"),
    one(b"7,soon,x", "at", "wrong_type"),
    one(b"7,unknown,x", "at", "wrong_type"),
    one(b"7,2024-01-01 10:00 Foo/Bar,x", "at", "wrong_type"),
    one(b"7,2024-02-30,x", "at", "out_of_range"),
    one(b"7,2024-01-01 25:00,x", "at", "out_of_range"),
    one(b"7,2024-01-01 10:00+20,x", "at", "out_of_range"),
    one(b"7,10000-01-01,x", "at", "out_of_range"),
    one(b"7,9999-12-31 23:00-02,x", "at", "out_of_range"),
    one(b"7,0001-01-01 BC,x", "at", "out_of_range"),
    one(b"7,infinity,x", "at", "out_of_range"),
    one(b"7,-infinity,x", "at", "out_of_range"),
    one(b"7,now,x", "at", "relative_time"),
    one(b"7, Today ,x", "at", "relative_time"),
    one(b"7,YESTERDAY,x", "at", "relative_time"),
    one(b"7,today04:05,x", "at", "relative_time"),
    one(b"7,10:00 tomorrow,x", "at", "relative_time"),
    one(b",2024-01-01,x", "id", "missing_value"),
    one(b"7,,x", "at", "missing_value"),
    case(
        "numbers that are none",
        *(b"1,2024-01-01,-1.5\n2,2024-01-02,NaN\n3,2024-01-03,Infinity\n", b'4,2024-01-04," -inf"\n5,2024-01-05,\n'),
        b"6,2024-01-06,nan\n7,2024-01-07,1e5\n",
        rows=[(1, "2024-01-01", Decimal("-1.5")), (5, "2024-01-05", None), (7, "2024-01-07", Decimal(100000))],
        rejects=[
            (3, b"2,2024-01-02,NaN", "note", "out_of_range"),
            (4, b"3,2024-01-03,Infinity", "note", "out_of_range"),
            (5, b'4,2024-01-04," -inf"', "note", "out_of_range"),
            (7, b"6,2024-01-06,nan", "note", "out_of_range"),
        ],
        columns=(ID, AT, column("note", "numeric", nullable=True)),
    ),
    *[
        case(
            f"a {kind} that no calendar has",
            *(b"1,2024-01-01,2024-02-29\n2,2024-01-02,-infinity\n4,2024-01-04,10000-01-01\n",),
            *(b"5,2024-01-05,0001-12-31 BC\n6,2024-01-06,\n7,2024-01-07,-Infinity\n",),
            rows=[(1, "2024-01-01", value), (6, "2024-01-06", None)],
            rejects=[
                (3, b"2,2024-01-02,-infinity", "note", "out_of_range"),
                (4, b"4,2024-01-04,10000-01-01", "note", "out_of_range"),
                (5, b"5,2024-01-05,0001-12-31 BC", "note", "out_of_range"),
                (7, b"7,2024-01-07,-Infinity", "note", "out_of_range"),
            ],
            columns=(ID, AT, column("note", kind, nullable=True)),
        )
        for kind, value in (("date", date(2024, 2, 29)), ("timestamptz", datetime(2024, 2, 29, tzinfo=UTC)))
    ],
    case(
        "accepted values",
        *(b'1,2024-01-01,a\n2,2024-01-02,z\n3,2024-01-03,"b,c"\n4,2024-01-04,"d ""e"""\n5,2024-01-05,\n',),
        *(b'6,2024-01-06,"f\ng"\n', b"7,2024-01-07,b,c\n", b"8,2024-01-08,A\n", b'9,2024-01-09,""\n'),
        rows=[
            *((1, "2024-01-01", "a"), (3, "2024-01-03", "b,c"), (4, "2024-01-04", 'd "e"'), (5, "2024-01-05", None)),
            (6, "2024-01-06", "f\ng"),
        ],
        rejects=[
            (3, b"2,2024-01-02,z", "note", "not_accepted"),
            (9, b"7,2024-01-07,b,c", None, "extra_column"),
            (10, b"8,2024-01-08,A", "note", "not_accepted"),
            (11, b'9,2024-01-09,""', "note", "not_accepted"),
        ],
        columns=(ID, AT, column("note", "text", nullable=True, accepted_values=["a", "b,c", 'd "e"', "f\ng"])),
    ),
    case(
        "over-long, in characters",
        b"1,2024-01-01,12345\n2,2024-01-02,123456\n",
        "3,2024-01-03,äöüßé\n4,2024-01-04,äöüßéè\n".encode(),
        rows=[(1, "2024-01-01", "12345"), (3, "2024-01-03", "äöüßé")],
        rejects=[
            (3, b"2,2024-01-02,123456", "note", "too_long"),
            (5, "4,2024-01-04,äöüßéè".encode(), "note", "too_long"),
        ],
        columns=(ID, AT, column("note", "text", nullable=True, max_length=5)),
    ),
    case(
        "over-long for an id, in bytes",
        f"1,2024-01-01,{'é' * 500}\n2,2024-01-02,{'é' * 500}x\n".encode(),
        f'3,2024-01-03,"{"x" * 1000}"\n4,2024-01-04,"{"x" * 1001}"\n'.encode(),
        rows=[(1, "2024-01-01", "é" * 500), (3, "2024-01-03", "x" * 1000)],
        rejects=[
            (3, f"2,2024-01-02,{'é' * 500}x".encode(), "note", "too_long"),
            (5, f'4,2024-01-04,"{"x" * 1001}"'.encode(), "note", "too_long"),
        ],
        user="note",
    ),
]

SHAPES = [
    one(b"7,2024-01-01", "note", "missing_column"),
    one(b"7,2024-01-01,x,", None, "extra_column"),
    one(b"7,2024-01-01,x,y", None, "extra_column"),
    one(b"7,2024-01-01,caf\xe9", "note", "bad_encoding"),
    one(b"7,2024-01-01,\xed\xa0\x80", "note", "bad_encoding"),
    one(b"7,2024-01-01,\xc3", "note", "bad_encoding"),
    one(b"\xff,2024-01-01,x", "id", "bad_encoding"),
    one(b"7,2024-01-01,a\0b", "note", "nul_byte"),
    one(b"\0,2024-01-01,x", "id", "nul_byte"),
    one(b"", "at", "missing_column"),
    one(b"\\.", "at", "missing_column"),
    case(
        "blank lines",
        *(1, b"\n", 2, b"\n\n"),
        rejects=[(3, b"", "at", "missing_column"), (5, b"", "at", "missing_column"), (6, b"", "at", "missing_column")],
    ),
    case(
        "quoted line ends are lines",
        *(1, b'2,2024-01-02,"a\n\r\n\nb"\n', b"x,2024-01-02,x\n", b'4,2024-02-30,"a\nb"\n', b"y,2024-01-01,y\n"),
        rows=[(2, "2024-01-02", "a\n\r\n\nb")],
        rejects=[
            (7, b"x,2024-01-02,x", "id", "wrong_type"),
            (8, b'4,2024-02-30,"a\nb"', "at", "out_of_range"),
            (10, b"y,2024-01-01,y", "id", "wrong_type"),
        ],
    ),
    case(
        "a header of two lines",
        *(good(1) + b",z\n", b"x,2024-01-02,x,z\n"),
        header=b'id,at,note,"more\nor less"',
        rows=[good_row(1)],
        rejects=[(4, b"x,2024-01-02,x,z", "id", "wrong_type")],
    ),
    case("every record bad", b"a,2024-01-02,x\n", rejects=[(2, b"a,2024-01-02,x", "id", "wrong_type")]),
    case("a bad last record without a line end", 1, b"7,x,y", rejects=[(3, b"7,x,y", "at", "wrong_type")]),
    case("no bytes", header=b"", error="the file is empty (0 bytes)"),
    case("no bytes and no header", header=b"", csv={"header": False}),
    case(
        "an archive of nothing and no header",
        *(gzip.compress(b""),),
        header=b"",
        file_name="a.csv.gz",
        csv={"header": False},
    ),
    case("a byte order mark alone, and no header", b"\xef\xbb\xbf", header=b"", csv={"header": False}),
    case("an open quote in the header", 1, 2, header=b'id,at,"note', error="the header cannot be read"),
    case(
        "a header that swallows records",
        *(b'1,2024-01-01,x\n2,2024-01-02,"\n', 3),
        header=b'id,at,"note',
        error="the header cannot be read: an unknown name",
    ),
]
QUOTES = [
    one(b'7,2024-01-01,x"y"', "note", "text_outside_quotes"),
    one(b'7,2024-01-01,"x"y', "note", "text_outside_quotes"),
    one(b'7,2024-01-01,"x" ', "note", "text_outside_quotes"),
    one(b'7,2024-01-01, "x"', "note", "text_outside_quotes"),
    one(b'7,2024-01-01,5" pipe', "note", "text_outside_quotes"),
    one(b'"7"7,2024-01-01,x', "id", "text_outside_quotes"),
    one(b'7,2024-01-01,"open', "note", "unterminated_quote"),
    one(b'7,"2024-01-01,open', "at", "unterminated_quote"),
    case(
        "an open quote before a quoted value",
        *(1, b'7,2024-01-01,"open\n', 2, b'3,2024-01-03,"a, b"\n', 4),
        rows=[(3, "2024-01-03", "a, b")],
        rejects=[(3, b'7,2024-01-01,"open', "note", "unterminated_quote")],
    ),
    case(
        "an open quote before a value of two lines",
        *(1, b'7,2024-01-01,"open\n', b'3,2024-01-03,"a\nb"\n', 4),
        rows=[(3, "2024-01-03", "a\nb")],
        rejects=[(3, b'7,2024-01-01,"open', "note", "unterminated_quote")],
    ),
    case(
        "an open quote some lines before a value of two lines",
        *(1, b'7,2024-01-01,"open\n', 2, b'3,2024-01-03,"a\nb"\n', 4),
        rows=[(3, "2024-01-03", "a\nb")],
        rejects=[(3, b'7,2024-01-01,"open', "note", "unterminated_quote")],
    ),
    case(
        "an open quote in the first record",
        *(b'7,2024-01-01,"open\n', 1, 2),
        rejects=[(2, b'7,2024-01-01,"open', "note", "unterminated_quote")],
    ),
    case(
        "an open quote in the last record",
        *(1, 2, b'7,2024-01-01,"open\n'),
        rejects=[(4, b'7,2024-01-01,"open', "note", "unterminated_quote")],
    ),
    case(
        "an open quote in the last record, which has no line end",
        *(1, 2, b'7,2024-01-01,"open'),
        rejects=[(4, b'7,2024-01-01,"open', "note", "unterminated_quote")],
    ),
    case(
        "two open quotes",
        *(1, b'7,2024-01-01,"open\n', 2, 3, b'8,2024-01-01,"open\n', 4),
        rejects=[
            (3, b'7,2024-01-01,"open', "note", "unterminated_quote"),
            (6, b'8,2024-01-01,"open', "note", "unterminated_quote"),
        ],
    ),
    case(
        "an open quote before another fault, and a quoted value later",
        *(1, b'7,2024-01-01,"open\n', b"x\n", 2, b'3,2024-01-03,"x"\n'),
        rows=[(3, "2024-01-03", "x")],
        rejects=[(3, b'7,2024-01-01,"open', "note", "unterminated_quote"), (4, b"x", "at", "missing_column")],
    ),
    case(
        "text after a closing quote, lines later",
        *(1, b'7,2024-01-01,"a\nb" c\n', 2),
        rejects=[(3, b'7,2024-01-01,"a\nb" c', "note", "text_outside_quotes")],
    ),
    case(
        "inches",
        *(1, b'7,2024-01-01,5" pipe\n', b'8,2024-01-01,6" pipe\n', 2),
        rejects=[
            (3, b'7,2024-01-01,5" pipe', "note", "text_outside_quotes"),
            (4, b'8,2024-01-01,6" pipe', "note", "text_outside_quotes"),
        ],
    ),
]

LINE_ENDS = [
    one(b"7,2024-01-01,x\r", None, "mixed_line_end"),
    one(b'7,2024-01-01,"x"\r', None, "mixed_line_end"),
    one(b"7,2024-01-01,x\ry", None, "mixed_line_end"),
    case(
        "LF in a file of CR LF",
        *(1, b"7,2024-01-01,x\n", b'8,2024-01-01,"x"\n', b'9,2024-01-01,"a\nb"\r\n', b"x,2024-01-01,x\r\n", 2),
        end=b"\r\n",
        rows=[(9, "2024-01-01", "a\nb")],
        rejects=[
            (3, b"7,2024-01-01,x", None, "mixed_line_end"),
            (4, b'8,2024-01-01,"x"', None, "mixed_line_end"),
            (7, b"x,2024-01-01,x", "id", "wrong_type"),
        ],
    ),
    case(
        "CR in a file of CR LF",
        *(1, b"7,2024-01-01,x\r" + good(2) + b"\r\n", 3),
        end=b"\r\n",
        rejects=[(3, b"7,2024-01-01,x\r" + good(2), None, "extra_column")],
    ),
    case(
        "CR alone",
        *(1, b'7,2024-01-01,"a\rb\nc"\r', b"x,2024-01-01,x\r", 2),
        end=b"\r",
        rows=[(7, "2024-01-01", "a\rb\nc")],
        rejects=[(5, b"x,2024-01-01,x", "id", "wrong_type")],
    ),
    case(
        "LF in a file of CR",
        *(1, b"7,2024-01-01\n8,x\r", b"9,2024-01-01,x\n\r", 2),
        end=b"\r",
        rejects=[
            (3, b"7,2024-01-01\n8,x", None, "mixed_line_end"),
            (4, b"9,2024-01-01,x\n", None, "mixed_line_end"),
        ],
    ),
]


@LARGE
@pytest.mark.parametrize("broken", [*VALUES, *SHAPES, *QUOTES, *LINE_ENDS], ids=lambda case: case.name)
def test_bad_records_are_quarantined_and_the_others_load(corpus: CorpusBench, broken: Case, large: bool) -> None:
    assert corpus.outcome(broken, large=large) == broken.expected

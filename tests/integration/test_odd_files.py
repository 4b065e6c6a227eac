"""Files written in all the ways a contract may state, with bad records in them and without."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from support.corpus import AT, HEADER, ID, NOTE, Case, CorpusBench, Outcome, case, column, corpus_database, good
from support.parquet import parquet
from support.postgres import PostgresServer

LARGE = pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
DAY = "2024-01-01"
# forms of a browser are sent with CR LF, whatever line end the file has
FORM = "a\r\nb\r\nc\r\n"
OFFSETS = (
    b"id,at,note\n1,2024-01-05 10:00:00+02,x\n2,2024-01-05 10:00:00 UTC+2,x\n3,Fri Jan 05 2024 10:00:00 GMT+0100,x\n"
    b"4,Fri Jan 05 2024 10:00:00 GMT+0100 (Central European Time),x\n5,2024-01-05 10:00:00 Etc/GMT+2,x\n"
    b"6,2024-01-05 10:00:00 GMT +1,x\n"
)


@pytest.fixture(scope="module")
def corpus(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusBench]:
    with corpus_database(postgres_server, f"odd_{os.getpid()}", tmp_path_factory.mktemp("landing")) as bench:
        yield bench


def bare(name: str, content: bytes, *rows: Any, rejects: Any = (), file_name: str = "a.csv", **contract: Any) -> Case:
    """A file that is written out in full, and loads."""
    return Case(name, content, Outcome("loaded", tuple(rows), tuple(rejects)), file_name, contract)


CLEAN = [
    bare("only a header", HEADER + b"\n"),
    bare("only a header, without a line end", HEADER),
    bare("no line end at the end", HEADER + b"\n1,2024-01-01,x", (1, DAY, "x")),
    bare("a byte order mark", b"\xef\xbb\xbf" + HEADER + b"\n1,2024-01-01,x\n", (1, DAY, "x")),
    bare("a byte order mark and quotes", b'\xef\xbb\xbf"id","at","note"\n1,2024-01-01,x\n', (1, DAY, "x")),
    case("CR LF", 1, 2, end=b"\r\n"),
    case("CR", 1, 2, end=b"\r"),
    bare("LF below a header that ends with CR LF", HEADER + b"\r\n1,2024-01-01,x\n", (1, DAY, "x")),
    case("CR LF in the values of an LF file", f'1,2024-01-01,"{FORM}"\n'.encode(), rows=[(1, DAY, FORM)]),
    case("LF in the values of a CR LF file", b'1,2024-01-01,"a\nb\nc"\r\n', rows=[(1, DAY, "a\nb\nc")], end=b"\r\n"),
    case(
        "quotes of all kinds",
        b'"1","2024-01-01",""\n2,2024-01-01,""""\n3,2024-01-01,"a ""b"", \'c\'\n"\n',
        rows=[(1, DAY, ""), (2, DAY, '"'), (3, DAY, "a \"b\", 'c'\n")],
    ),
    case("white space is part of a text", b" 1 , 2024-01-01 , x \n", rows=[(1, DAY, " x ")]),
    case("the mark of the end of data as a value", b"1,2024-01-01,\\.\n", rows=[(1, DAY, "\\.")]),
    case(
        "SQL in a value",
        b"1,2024-01-01,'); drop table raw._loads; --\n2,2024-01-01,$judgement$\n3,2024-01-01,{} %s\n",
        rows=[(1, DAY, "'); drop table raw._loads; --"), (2, DAY, "$judgement$"), (3, DAY, "{} %s")],
    ),
    bare("a nullable column is missing", b"at,id\n2024-01-01,1\n", (1, DAY, None)),
    bare("an added column", b'id,new,at,note\n1,"a\nb",2024-01-01,x\n', (1, DAY, "x")),
    bare("other order and case", b"NOTE,at, Id \nx,2024-01-01,1\n", (1, DAY, "x")),
    bare(
        "another name",
        b"id,when,note\n1,2024-01-01,x\n",
        (1, DAY, "x"),
        columns=(ID, AT | {"aliases": ["When"]}, NOTE),
    ),
    case(
        "values at the edges",
        b"-9223372036854775808,0001-01-01,x\n9223372036854775807,9999-12-31 23:59:59.999999,x\n",
        rows=[
            (-9223372036854775808, "0001-01-01", "x"),
            (9223372036854775807, "9999-12-31 23:59:59.999999+00", "x"),
        ],
    ),
]

BROKEN = [
    bare(
        "delimiter ;",
        b'id;at;note\n1;2024-01-01;"a;b"\n7,2024-01-01,x\nx;2024-01-01;x,y\n',
        (1, DAY, "a;b"),
        rejects=[(3, b"7,2024-01-01,x", "at", "missing_column"), (4, b"x;2024-01-01;x,y", "id", "wrong_type")],
        csv={"delimiter": ";"},
    ),
    bare(
        "a delimiter that times have in them too",
        b'id:at:note\n1:2024-01-01:x\n2:"2024-01-01 10:00":x\n3:2024-01-01 10:00\n',
        *((1, DAY, "x"), (2, "2024-01-01 10:00:00+00", "x")),
        rejects=[(4, b"3:2024-01-01 10:00", "at", "wrong_type")],
        csv={"delimiter": ":"},
    ),
    bare(
        "tabs and single quotes",
        b"id\tat\tnote\n1\t2024-01-01\t'it''s\n\"'\n7\t2024-01-01\t'x'y\n",
        (1, DAY, "it's\n\""),
        rejects=[(4, b"7\t2024-01-01\t'x'y", "note", "text_outside_quotes")],
        csv={"delimiter": "\t", "quote": "'"},
    ),
    bare(
        "three spellings of null",
        b'id,at,note\n1,2024-01-01,\n2,2024-01-01,NULL\n3,2024-01-01,\\N\n4,2024-01-01,"NULL"\n5,2024-01-01,null\n'
        b"NULL,2024-01-01,x\n7,\\N,x\n",
        *((1, DAY, None), (2, DAY, None), (3, DAY, None), (4, DAY, "NULL"), (5, DAY, "null")),
        rejects=[(7, b"NULL,2024-01-01,x", "id", "missing_value"), (8, b"7,\\N,x", "at", "missing_value")],
        csv={"nulls": ["", "NULL", "\\N"]},
    ),
    bare(
        "null is not the empty text",
        b"id,at,note\n1,2024-01-01,\n2,2024-01-01,-\n,2024-01-01,x\n",
        *((1, DAY, ""), (2, DAY, None)),
        rejects=[(4, b",2024-01-01,x", "id", "wrong_type")],
        csv={"nulls": ["-"]},
    ),
    bare(
        "no header",
        b"x,2024-01-01,x\n1,2024-01-01,x\n",
        (1, DAY, "x"),
        rejects=[(1, b"x,2024-01-01,x", "id", "wrong_type")],
        csv={"header": False},
    ),
    bare(
        "latin-1",
        b"id,at,note\n1,2024-01-01,caf\xe9\nx,2024-01-01,caf\xe9\n",
        (1, DAY, "café"),
        rejects=[(3, b"x,2024-01-01,caf\xe9", "id", "wrong_type")],
        csv={"encoding": "latin-1"},
    ),
    bare(
        "cp1252 with a byte that it has not",
        b"id,at,note\n1,2024-01-01,\x80\n2,2024-01-01,\x81\x80\n",
        (1, DAY, "€"),
        rejects=[(3, b"2,2024-01-01,\x81\x80", "note", "bad_encoding")],
        csv={"encoding": "cp1252"},
    ),
    bare(
        "utf-16",
        "id,at,note\n1,2024-01-01,é\nx,2024-01-01,é\n".encode("utf-16"),
        (1, DAY, "é"),
        rejects=[(3, "x,2024-01-01,é".encode("utf-16-le"), "id", "wrong_type")],
        csv={"encoding": "utf-16"},
    ),
    bare(
        "gzip",
        gzip.compress(b'id,at,note\n1,2024-01-01,"a\nb"\nx,2024-01-01,x\n2,2024-01-01,\xff\n'),
        (1, DAY, "a\nb"),
        rejects=[(4, b"x,2024-01-01,x", "id", "wrong_type"), (5, b"2,2024-01-01,\xff", "note", "bad_encoding")],
        file_name="a.csv.gz",
    ),
    bare(
        "zstd",
        pa.compress(b'id,at,note\n1,2024-01-01,"x\n2,2024-01-01,x\n', "zstd", asbytes=True),
        (2, DAY, "x"),
        rejects=[(2, b'1,2024-01-01,"x', "note", "unterminated_quote")],
        file_name="a.csv.zst",
    ),
    bare(
        "Parquet",
        parquet(id=["1", "seven", "3", None], at=[DAY, DAY, "2024-02-30", DAY], note=["a\n,b", "", None, '"']),
        (1, DAY, "a\n,b"),
        rejects=[
            (4, b'"seven","2024-01-01",""', "id", "wrong_type"),
            (5, b'"3","2024-02-30",', "at", "out_of_range"),
            (6, b',"2024-01-01",""""', "id", "missing_value"),
        ],
        file_name="a.parquet",
        csv={"delimiter": ";"},  # which Parquet knows nothing of
    ),
    bare(
        "days before months",
        b"id,at,note\n1,13/01/2024,x\n2,01/13/2024,x\n3,2024-01-13,x\n",
        *((1, "2024-01-13", "x"), (3, "2024-01-13", "x")),
        rejects=[(3, b"2,01/13/2024,x", "at", "out_of_range")],
        csv={"date_order": "DMY"},
    ),
    bare(
        "days before months, of which Parquet knows nothing",
        parquet(id=[1, 2], at=["2024-01-13", "01/02/2024"], note=["x", "x"]),
        (1, "2024-01-13", "x"),
        rejects=[(3, b"2,01/02/2024,x", "at", "out_of_range")],
        file_name="a.parquet",
        csv={"date_order": "DMY"},
    ),
    bare(
        "years of two digits",
        b"id,at,note\n1,18/11/26,x\n2,18.11.26 10:00,x\n3,18-Nov-26,x\n4,181126,x\n5,2018-11-26 18:11:26,x\n6,epoch,x\n"
        b"7,26 Nov 2018 10:00:00.2018+0530,x\n8,0018-11-26,x\n9,20181126T101010,x\n10,2018-12-31 24:00,x\n"
        b"11,J2458449,x\n12,Mon Nov 26 10:10:10 2018,x\n",
        *((5, "2018-11-26 18:11:26+00", "x"), (6, "1970-01-01", "x"), (7, "2018-11-26 04:30:00.2018+00", "x")),
        *((8, "0018-11-26", "x"), (9, "2018-11-26 10:10:10+00", "x"), (10, "2019-01-01", "x")),
        *((11, "2018-11-26", "x"), (12, "2018-11-26 10:10:10+00", "x")),
        rejects=[
            (2, b"1,18/11/26,x", "at", "two_digit_year"),
            (3, b"2,18.11.26 10:00,x", "at", "two_digit_year"),
            (4, b"3,18-Nov-26,x", "at", "two_digit_year"),
            (5, b"4,181126,x", "at", "two_digit_year"),
        ],
    ),
    *(
        bare(
            f"a year of two digits in the {kind} file",
            content,
            rejects=[(2, record, "at", "two_digit_year")],
            file_name=file_name,
            columns=(ID, column("at", "date"), NOTE),
        )
        for kind, file_name, content, record in (
            ("CSV", "a.csv", b"id,at,note\n1,18/11/26,x\n", b"1,18/11/26,x"),
            ("Parquet", "a.parquet", parquet(id=["1"], at=["18/11/26"], note=["x"]), b"1,18/11/26,x"),
        )
    ),
    *(
        bare(
            f"offsets behind letters{where}",
            OFFSETS,
            *((1, "2024-01-05 08:00:00+00", "x"), (5, "2024-01-05 12:00:00+00", "x")),
            rejects=[
                (3, b"2,2024-01-05 10:00:00 UTC+2,x", "at", "offset_behind_letters"),
                (4, b"3,Fri Jan 05 2024 10:00:00 GMT+0100,x", "at", "offset_behind_letters"),
                (5, b"4,Fri Jan 05 2024 10:00:00 GMT+0100 (Central European Time),x", "at", "offset_behind_letters"),
                (7, b"6,2024-01-05 10:00:00 GMT +1,x", "at", "wrong_type"),
            ],
            **more,
        )
        for where, more in (
            ("", {}),
            (" where the contract says what comes first", {"csv": {"date_order": "DMY"}}),
            (" in a file that is read with care from the start", {"csv": {"nulls": ["", "NULL"]}}),
        )
    ),
    bare(
        "an offset behind letters, below records that make the file be read with care",
        b"id,at,note\nx,2024-01-05,x\n" + b"1,2024-01-05,x\n" * 3000 + b"2,2024-01-05 10:00 UTC+2,x\n",
        *[(1, "2024-01-05", "x")] * 3000,
        rejects=[
            (2, b"x,2024-01-05,x", "id", "wrong_type"),
            (3003, b"2,2024-01-05 10:00 UTC+2,x", "at", "offset_behind_letters"),
        ],
    ),
    bare(
        "offsets behind letters in texts of Parquet",
        parquet(id=["1", "2"], at=["2024-01-05 10:00+02", "2024-01-05 10:00 UTC+2"], note=["x", "x"]),
        (1, "2024-01-05 08:00:00+00", "x"),
        rejects=[(3, b"2,2024-01-05 10:00 UTC+2,x", "at", "offset_behind_letters")],
        file_name="a.parquet",
    ),
    bare(
        "a day with an offset behind letters, which is not read",
        b"id,at,note\n1,2024-01-05 10:00 UTC+2,x\n2,2024-01-05 23:00-05:00,x\n",
        *((1, "2024-01-05", "x"), (2, "2024-01-05", "x")),
        columns=(ID, column("at", "date"), NOTE),
    ),
    bare(
        "years of two digits where the contract says what comes first",
        b"id,at,note\n1,18/11/26,x\n2,18-Nov-26 10:00,x\n3,181126,x\n",
        *((1, "2026-11-18", "x"), (2, "2026-11-18 10:00:00+00", "x")),
        rejects=[(4, b"3,181126,x", "at", "two_digit_year")],
        csv={"date_order": "DMY"},
    ),
    bare(
        "years of two digits where the contract says how dates are written",
        b"id,at,note\n1,18/11/26,x\n2,01/02/03,x\n",
        *((1, "2018-11-26", "x"), (2, "2001-02-03", "x")),
        columns=(ID, column("at", "date", format="YY/MM/DD"), NOTE),
    ),
    bare(
        "dates in words",
        b"id,at,note\n1,05 Jan 2024,x\n2,5 JAN 2024,x\n3,2024-01-05,x\n4,05 Jan 2024 10:00,x\n5,31 Feb 2024,x\n"
        b'6,05 Jan,x\n7,"",x\n8,05 Jan 2024 B,x\n9,now,x\n10,05 Jan 24,x\n11,0 Jan 2024,x\n',
        *((1, "2024-01-05", "x"), (2, "2024-01-05", "x")),
        rejects=[
            (4, b"3,2024-01-05,x", "at", "wrong_type"),
            (5, b"4,05 Jan 2024 10:00,x", "at", "wrong_type"),
            (6, b"5,31 Feb 2024,x", "at", "out_of_range"),
            (7, b"6,05 Jan,x", "at", "wrong_type"),
            (8, b'7,"",x', "at", "wrong_type"),
            (9, b"8,05 Jan 2024 B,x", "at", "wrong_type"),
            (10, b"9,now,x", "at", "wrong_type"),
            (11, b"10,05 Jan 24,x", "at", "wrong_type"),
            (12, b"11,0 Jan 2024,x", "at", "wrong_type"),
        ],
        columns=(ID, column("at", "timestamptz", format="DD Mon YYYY"), NOTE),
    ),
    bare(
        "dates in numbers, not all of them whole",
        b"id,at,note\n1,2024-02-29,x\n2,2024-00-15,x\n3,2024-01,x\n4,2024,x\n5,2024-1-5,x\n6,24-01-05,x\n7,2024-01-00,x\n",
        *((1, "2024-02-29", "x"), (5, "2024-01-05", "x")),
        rejects=[
            (3, b"2,2024-00-15,x", "at", "wrong_type"),
            (4, b"3,2024-01,x", "at", "wrong_type"),
            (5, b"4,2024,x", "at", "wrong_type"),
            (7, b"6,24-01-05,x", "at", "wrong_type"),
            (8, b"7,2024-01-00,x", "at", "wrong_type"),
        ],
        columns=(ID, column("at", "date", format="YYYY-MM-DD"), NOTE),
    ),
    bare(
        "a nullable column is missing, and a record has it",
        b"id,at\n1,2024-01-01\n2,2024-01-01,x\n",
        (1, DAY, None),
        rejects=[(3, b"2,2024-01-01,x", None, "extra_column")],
    ),
    bare(
        "an added column, and a record is bad in it",
        b"id,new,at,note\n1,\xff,2024-01-01,x\n2,x,2024-01-01,x\n3,2024-01-01,x\n",
        (2, DAY, "x"),
        rejects=[
            (2, b"1,\xff,2024-01-01,x", None, "bad_encoding"),
            (4, b"3,2024-01-01,x", "note", "missing_column"),
        ],
    ),
    bare(
        "columns in another order",
        b"note,at,id\nx,2024-01-01,1\n1,2024-01-01,x\n",
        (1, DAY, "x"),
        rejects=[(3, b"1,2024-01-01,x", "id", "wrong_type")],
    ),
]


@LARGE
@pytest.mark.parametrize("odd", [*CLEAN, *BROKEN], ids=lambda case: case.name)
def test_odd_file_loads(corpus: CorpusBench, odd: Case, large: bool) -> None:
    assert corpus.outcome(odd, large=large) == odd.expected


@LARGE
def test_words_for_times_as_texts_of_today(corpus: CorpusBench, large: bool) -> None:
    """A file with recent times is looked through for such words; they are only bad where a time belongs."""
    today = datetime.now(UTC).date().isoformat()
    text = f"id,at,note\n1,{today},now\n2,today,x\n3,{today},tomorrow\n".encode()
    odd = bare(
        *("", text, (1, today, "now"), (3, today, "tomorrow")), rejects=[(3, b"2,today,x", "at", "relative_time")]
    )
    assert corpus.outcome(odd, large=large) == odd.expected


@LARGE
@pytest.mark.parametrize("rejected", [0, 1])
def test_a_value_of_megabytes_loads(corpus: CorpusBench, large: bool, rejected: int) -> None:
    note = "many words,\n" * 200_000
    content = b'id,at,note\n1,2024-01-01,"' + note.encode() + b'"\n' + b"x,2024-01-01,x\n" * rejected
    rejects = [(200_003, b"x,2024-01-01,x", "id", "wrong_type")] * rejected
    odd = bare("", content, (1, DAY, note), rejects=rejects)
    assert corpus.outcome(odd, large=large) == odd.expected


@LARGE
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_record_beyond_all_bounds_refuses_the_file(corpus: CorpusBench, large: bool, quote: bytes) -> None:
    content = b"id,at,note\n1,2024-01-01,x\n2,2024-01-01," + quote + b"x" * (19 << 20) + quote + b"\n"
    odd = Case("", content, Outcome("refused", error="line 3: a record of more than 16 MiB"))
    assert corpus.outcome(odd, large=large) == odd.expected


@LARGE
@pytest.mark.parametrize(
    ("rate", "bad", "records"),
    [(0.05, 1, 20), (0.05, 3, 60), (0.0, 0, 3), (0.29, 29, 100)],
)
def test_as_many_rejects_as_the_contract_tolerates(
    corpus: CorpusBench, large: bool, rate: float, bad: int, records: int
) -> None:
    lines = [b"x,2024-01-01,x"] * bad + [good(1)] * (records - bad)
    odd = bare(
        *("", HEADER + b"\n" + b"\n".join(lines) + b"\n", *[(1, DAY, "n1")] * (records - bad)),
        rejects=[(2 + place, lines[place], "id", "wrong_type") for place in range(bad)],
        max_reject_rate=rate,
    )
    assert corpus.outcome(odd, large=large) == odd.expected


@LARGE
def test_one_reject_more_refuses_the_file(corpus: CorpusBench, large: bool) -> None:
    lines = [b"x,2024-01-01,x"] * 9 + [b'1,2024-01-01,x"', b"1,2024-01-01", b"1,,x"] + [good(1)] * 88
    reasons = [
        "12 of 100 records are refused; the contract tolerates 11 % of a file (max_reject_rate)",
        *(f'  line {line}, column id: wrong_type: invalid input syntax for type bigint: "…"' for line in range(2, 11)),
        "  line 11, column note: text_outside_quotes: a quote within a value that does not begin with one",
        "  and 2 more",
    ]
    content = HEADER + b"\n" + b"\n".join(lines) + b"\n"
    odd = Case("", content, Outcome("refused", error="\n".join(reasons)), contract={"max_reject_rate": 0.11})
    assert corpus.outcome(odd, large=large) == odd.expected
    orphans = (
        "select relname from pg_class where relname ~ '_load_[0-9]+_[0-9]+$' and relkind = 'r'"
        " and oid not in (select inhrelid from pg_inherits)"
    )
    assert corpus.query(orphans) == []

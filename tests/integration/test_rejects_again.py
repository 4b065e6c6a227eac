"""Refused records come again as their file meant them: exported and corrected, or replayed."""

from __future__ import annotations

import pytest
from support.parquet import parquet
from support.quarantine import Quarantine

from ingest.quarantine import Replayed

HEADER = "userid,time_started,is_paid,medium"


@pytest.fixture
def ward(bench):
    return Quarantine(bench)


def land(ward, name, content):
    path = ward.bench.landing / "sessions" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(("right", "wrong"), [("\n", "\r\n"), ("\r\n", "\n"), ("\r", "\n\r")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_record_is_taken_without_its_wrong_line_end(ward, right, wrong, encoding):
    ward.bench.change_contract(csv={"encoding": encoding})
    good, bad = "7,2024-01-01,true,A", "8,2024-01-02,true,B"
    land(ward, "a.csv", "".join([HEADER, right, good, right, bad, wrong, good, right]).encode(encoding))
    (result,) = ward.bench.load()
    assert (result.loaded_count, result.rejected_count) == (2, 1), result.error
    assert ward.listed()[0].reason == "mixed_line_end"
    assert ward.export("sessions/a.csv").decode(encoding) == f"{HEADER}\n{bad}\n"
    assert ward.replay() == [Replayed("sessions/a.csv", 1, 0)]
    assert ward.bench.rows("select userid, medium from raw.sessions order by 1") == [(7, "A"), (7, "A"), (8, "B")]


def test_days_do_not_come_before_months_in_parquet_whatever_csv_files_have(ward):
    ward.bench.change_contract(csv={"date_order": "DMY"})
    columns = {"userid": [7, 8], "time_started": ["2024-01-13", "01/02/2024"], "is_paid": [True] * 2}
    land(ward, "a.parquet", parquet(**columns))
    (result,) = ward.bench.load()
    assert (result.loaded_count, result.rejected_count) == (1, 1), result.error
    assert ward.replay() == [Replayed("sessions/a.parquet", 0, 1)]
    assert ward.users() == [(7, "2024-01-13")]


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        ({}, HEADER + '\nseven,2024-01-02,True,"a,""b""\nc;é"\neight,2024-01-03,False,""\nnine,2024-01-04,,\n'),
        (
            {"delimiter": ";", "quote": "'", "encoding": "utf-16", "nulls": ["-", ""]},
            HEADER.replace(",", ";")
            + "\nseven;2024-01-02;True;'a,\"b\"\nc;é'\neight;2024-01-03;False;''\nnine;2024-01-04;-;-\n",
        ),
        (
            {"header": False, "encoding": "latin-1", "nulls": ["NULL"]},
            'seven,2024-01-02,True,"a,""b""\nc;é"\neight,2024-01-03,False,""\nnine,2024-01-04,NULL,NULL\n',
        ),
    ],
    ids=["as Parquet", "another", "no header"],
)
def test_records_of_parquet_come_back_as_the_csv_of_the_feed(ward, csv, expected):
    ward.bench.change_contract(csv=csv, max_reject_rate=1.0)
    ward.bench.change_contract(column="is_paid", nullable=True)
    columns = {
        "userid": ["seven", "eight", "nine"],
        "time_started": ["2024-01-02", "2024-01-03", "2024-01-04"],
        "is_paid": ["True", "False", None],
        "medium": ['a,"b"\nc;é', "", None],
    }
    if csv.get("header") is False:  # and in another order, with a column that the contract has not
        columns = dict(reversed(columns.items())) | {"more": ["x"] * 3}
    land(ward, "a.parquet", parquet(**columns))
    (result,) = ward.bench.load()
    assert (result.loaded_count, result.rejected_count) == (0, 3), result.error
    encoding = csv.get("encoding", "utf-8")
    text = ward.export("sessions/a.parquet").decode(encoding)
    assert text == expected
    corrected = text.replace("seven", "7").replace("eight", "8").replace("nine", "9")
    land(ward, "corrected.csv", corrected.encode(encoding))
    result = next(result for result in ward.bench.load() if result.source_file == "sessions/corrected.csv")
    assert (result.loaded_count, result.rejected_count) == (3, 0), result.error
    assert ward.bench.rows("select userid, is_paid, medium from raw.sessions order by 1") == [
        *((7, True, columns["medium"][0]), (8, False, ""), (9, None, None)),
    ]

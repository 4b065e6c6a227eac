"""Rows as text for people, spreadsheets and programs."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

from growth.table import render

COLUMNS = ["channel", "count", "rate", "day"]
ROWS = [("DIRECT", 12, Decimal("0.50"), date(2024, 1, 5)), (None, 3, None, None), ('a,"b"', 4, Decimal(2), None)]


def test_a_table_aligns_numbers_right_and_text_left() -> None:
    assert render(COLUMNS, ROWS).splitlines() == [
        "channel | count | rate | day",
        "--------+-------+------+-----------",
        "DIRECT  |    12 | 0.50 | 2024-01-05",
        "        |     3 |      |",
        'a,"b"   |     4 |    2 |',
    ]


def test_json_of_the_server_stays_json() -> None:
    assert render(["counts"], [({"a": None, "ä": [1]},)]).splitlines()[2] == '{"a": null, "ä": [1]}'


def test_a_table_without_rows_has_its_header() -> None:
    assert render(["a"], []) == "a\n-\n"


def test_csv_quotes_and_leaves_nulls_empty() -> None:
    assert render(COLUMNS, ROWS, "csv").splitlines() == [
        "channel,count,rate,day",
        "DIRECT,12,0.50,2024-01-05",
        ",3,,",
        '"a,""b""",4,2,',
    ]


def test_truth_is_spelled_as_postgres_does_and_is_no_number() -> None:
    rows = [(True, 1), (False, 2), (None, 3)]
    assert render(["is_paid", "n"], rows, "csv") == "is_paid,n\ntrue,1\nfalse,2\n,3\n"
    assert render(["is_paid", "n"], rows).splitlines()[2:] == ["true    | 1", "false   | 2", "        | 3"]
    assert [row["is_paid"] for row in json.loads(render(["is_paid", "n"], rows, "json"))] == [True, False, None]


def test_json_loses_no_digit_of_a_decimal() -> None:
    digits = "12345678901234567890.123456789012345678"
    text = render(["a", "b", "c", "d"], [(Decimal(digits), [Decimal("1.10")], Decimal("NaN"), float("inf"))], "json")
    assert text == f'[\n  {{\n    "a": {digits},\n    "b": [1.10],\n    "c": "NaN",\n    "d": "inf"\n  }}\n]\n'
    assert json.loads(text, parse_float=Decimal)[0]["a"] == Decimal(digits)
    assert render(["a"], [], "json") == "[]\n"


def test_json_keeps_nulls_and_numbers() -> None:
    assert json.loads(render(COLUMNS, ROWS, "json"))[0] == {
        "channel": "DIRECT",
        "count": 12,
        "rate": 0.5,
        "day": "2024-01-05",
    }
    assert json.loads(render(COLUMNS, ROWS, "json"))[1]["channel"] is None

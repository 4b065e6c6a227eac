"""Rows of a chart as the file that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from dashboard.source import Rows
from growth import table


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x.example")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_of_a_download_is_a_formula(text: str) -> None:
    rows = Rows(("label", "count", "rate"), ((text, -3, Decimal("-0.5")), ("a=b", 1, None)))
    assert [*csv.reader(io.StringIO(rows.csv(), newline=""))] == [
        ["label", "count", "rate"],
        [f"'{text}", "-3", "-0.5"],
        ["a=b", "1", ""],
    ]
    exact = table.render(rows.columns, rows.records, "csv")
    assert next(csv.DictReader(io.StringIO(exact, newline="")))["label"] == text

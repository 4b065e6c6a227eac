"""Rows of a query as text: an aligned table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

STYLES = ("table", "csv", "json")


def render(columns: Sequence[str], rows: Sequence[Sequence[Any]], style: str = "table") -> str:
    """Rows as text that ends with a line end; null is empty, in JSON ``null``.

    JSON has decimals as numbers with all their digits: who reads it decides what becomes of them.
    """
    if style == "json":
        objects = [
            ",\n".join(
                f"    {_json(name)}: {_json(value)}" for name, value in dict(zip(columns, row, strict=True)).items()
            )
            for row in rows
        ]
        return "[\n" + ",\n".join("  {\n" + each + "\n  }" for each in objects) + "\n]\n" if objects else "[]\n"
    cells = [["" if value is None else _text(value) for value in row] for row in rows]
    if style == "csv":
        text: list[str] = []
        # before Python 3.13 a \r is quoted only where lines end with one; readers take a bare one for the end of a line
        csv.writer(SimpleNamespace(write=text.append), lineterminator="\r\n").writerows([columns, *cells])
        return "".join(line.removesuffix("\r\n") + "\n" for line in text)
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [
        bool(rows)
        and all(isinstance(row[i], int | float | Decimal | None) and not isinstance(row[i], bool) for row in rows)
        for i in range(len(columns))
    ]
    lines = [_line(columns, widths, numeric), "-+-".join("-" * width for width in widths)]
    return "\n".join([*lines, *(_line(row, widths, numeric) for row in cells)]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    aligned = (
        cell.rjust(width) if is_number else cell.ljust(width)
        for cell, width, is_number in zip(cells, widths, numeric, strict=True)
    )
    return " | ".join(aligned).rstrip()


def _text(value: Any) -> str:
    """As Postgres itself would print it: json is json."""
    return _json(value) if isinstance(value, bool | dict | list) else str(value)


def _json(value: Any) -> str:
    """What JSON has no type for is its text; so are numbers that are none."""
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    return json.dumps(value, ensure_ascii=False, default=str)

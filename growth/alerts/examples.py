"""The first rows that failed a check, without personal data.

Source: a table of schema dq_failures. A value is shown only where its column is known to be harmless: days, counts,
rates, sums, and names that we gave ourselves. All others are masked: ids, free text, exact times, amounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import sql

from growth.settings import Warehouse
from ingest.contract import EVENT_TIME_TYPES, Contract

EXAMPLE_COUNT = 3
MASK = "…"
FIGURES = re.compile(r"(^|_)(count|rate|records|copies|total|shift|share)$")
OUR_NAMES = frozenset(
    {
        "feed",
        "figure",
        "source_file",
        "_source_file",
        "load_id",
        "_load_id",
        "column_name",
        "data_type",
        "found_type",
        "difference",
        "why_in_raw",
    }
)


def first_examples(warehouse: Warehouse, kept_in: str, contracts: Iterable[Contract]) -> tuple[str, ...]:
    """The first rows of a table of failing rows, each as ``column value, column value``.

    Args:
        warehouse: where.
        kept_in: schema and table; empty where nothing is kept.
        contracts: of all feeds; of their columns only days are shown.

    Returns:
        At most ``EXAMPLE_COUNT`` rows; none where the table is gone or cannot be read.
    """
    if not kept_in:
        return ()
    private = private_columns(contracts)
    query = sql.SQL("select * from {} limit {}").format(sql.Identifier(*kept_in.split(".")), EXAMPLE_COUNT)
    try:
        with psycopg.connect(warehouse.conninfo("transform")) as conn:
            cursor = conn.execute(query)
            names = [column.name for column in cursor.description or ()]
            return tuple(_shown(dict(zip(names, row, strict=True)), private) for row in cursor)
    except psycopg.Error:
        return ()


def private_columns(contracts: Iterable[Contract]) -> frozenset[str]:
    """Columns of the feeds that may identify somebody, be an amount or hold anything: all but days."""
    return frozenset(
        column.name
        for contract in contracts
        for column in contract.columns
        if column.name in contract.personal_columns or column.type not in EVENT_TIME_TYPES
    )


def _shown(row: dict[str, Any], private: frozenset[str]) -> str:
    return ", ".join(f"{name} {_value(name, value, private)}" for name, value in row.items())


def _value(name: str, value: Any, private: frozenset[str]) -> str:
    if value is None:
        return "null"
    if name in private:
        return MASK
    if isinstance(value, datetime):
        return value.date().isoformat()  # the exact second of an event may tell whose it is
    if isinstance(value, date):
        return value.isoformat()
    if name in OUR_NAMES:
        return str(value)
    if FIGURES.search(name) and not isinstance(value, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return MASK

"""Names and shapes of the tables in schema raw, and how their columns differ from a contract's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import psycopg
from psycopg import sql

from ingest.contract import EVENT_TIME_TYPES, EXTRACT_DATE, Column, ColumnType, Contract

SCHEMA = "raw"
LOAD_ID_SETTING = "growth.load_id"
# columns of raw.<feed> beside the contract's, and what they hold
ADDED_COLUMNS = {
    EXTRACT_DATE: "Day of the extract that the row came with.",
    "_load_id": "Load that brought the row, see raw._loads.",
}


def raw_table(feed: str) -> sql.Identifier:
    """Name of a feed's raw table."""
    return sql.Identifier(SCHEMA, feed)


def removed_table(feed: str) -> sql.Identifier:
    """Name of the table that keeps the rows that loads took out of a feed, until the models have consumed that."""
    return sql.Identifier(SCHEMA, f"_removed_{feed}")


def load_table(feed: str, load_id: int, part: int) -> sql.Identifier:
    """Name of one part of a large load, a child of the feed's raw table."""
    return sql.Identifier(SCHEMA, f"{feed}_load_{load_id}_{part}")


def time_index(feed: str) -> str:
    """Name of the raw table's index on event time and load; no feed's name starts with an underscore."""
    return f"_{feed}_by_time"


def qualified_time_index(feed: str) -> str:
    """The same with its schema, as a regclass; a feed's name needs no quotes."""
    return f"{SCHEMA}.{time_index(feed)}"


def time_range(kind: ColumnType) -> tuple[sql.Composable, sql.Composable]:
    """First time and the end of times, of a type: infinity has no day, and most clients know no other years."""
    midnight = "" if kind == "date" else " 00:00:00+00"
    first, end = (sql.SQL(f"{kind} '{day}{midnight}'") for day in ("0001-01-01", "10000-01-01"))
    return first, end


def time_check(contract: Contract) -> dict[str, sql.Composable]:
    """The condition that keeps the time column within the years 1 to 9999, by the name of its constraint."""
    return _range_check(contract.time_column, contract.time_type)


def day_expression(contract: Contract) -> sql.Composable:
    """UTC day of a row."""
    column = sql.Identifier(contract.time_column)
    if contract.time_type == "date":
        return column
    return sql.SQL("cast({} at time zone 'UTC' as date)").format(column)


def create_time_index(
    contract: Contract, table: sql.Identifier, name: str | None = None, *, with_load_id: bool = True
) -> sql.Composed:
    """Statement for the BRIN index on event time and load: a few pages, and a day is found without reading history.

    One index over both, because it is built in one scan, and BRIN serves a condition on either column alone. Where all
    rows are of one load, the time is enough. On the time, not on its day: that would be computed for every row.
    """
    name_or_default = sql.SQL("if not exists {}").format(sql.Identifier(name)) if name else sql.SQL("")
    columns = [sql.Identifier(contract.time_column), *([sql.Identifier("_load_id")] if with_load_id else [])]
    return sql.SQL("create index {} on {} using brin ({})").format(name_or_default, table, sql.SQL(", ").join(columns))


def make_indexes(conn: psycopg.Connection, indexes: Mapping[str, sql.Composable]) -> None:
    """Make the indexes that are missing, by their qualified names.

    Looked up first: to find that there is nothing to make, `create index` waits for whoever writes to the table, and
    lets nobody write meanwhile.
    """
    for name, statement in indexes.items():
        if conn.execute("select to_regclass(%s)", [name]).fetchone() == (None,):
            conn.execute(sql.Composed([statement]))


def start_of_day(contract: Contract, day: date, days_later: int = 0) -> sql.Composable:
    """The first event time of a UTC day (or of one some days later), to compare the event time column with."""
    start = sql.SQL("(cast({} as date) + {})").format(sql.Literal(day.isoformat()), sql.Literal(days_later))
    if contract.time_type == "date":
        return start
    return sql.SQL("(cast({} as timestamp) at time zone 'UTC')").format(start)


def column_definition(column: Column) -> sql.Composed:
    """A column of a contract as ``create table`` wants it."""
    required = sql.SQL("" if column.nullable else " not null")
    return sql.SQL("{} {}{}").format(sql.Identifier(column.name), sql.SQL(column.type), required)


def columns_of(conn: psycopg.Connection, table: sql.Identifier) -> list[tuple[str, str, bool]]:
    """Name, type and whether required, of each column of a raw table; nothing where the table is missing."""
    rows = conn.execute(
        """
        select attname, case format_type(atttypid, atttypmod) when 'timestamp with time zone' then 'timestamptz'
            else format_type(atttypid, atttypmod) end, attnotnull
        from pg_attribute
        where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
        order by attnum
        """,
        [table.as_string(conn)],
    ).fetchall()
    return [(name, kind, required) for name, kind, required in rows]


def differing_columns(contract: Contract, found: list[tuple[str, str, bool]]) -> list[str]:
    """Lines that say how a table's columns differ from the contract's."""
    expected: list[tuple[str, str, bool]] = [
        (column.name, column.type, not column.nullable) for column in contract.columns
    ]
    if contract.has_extract_date:
        expected.append((EXTRACT_DATE, "date", True))
    return list(_differences(expected, [column for column in found if column[0] != "_load_id"]))


def _differences(expected: list[tuple[str, str, bool]], found: list[tuple[str, str, bool]]) -> Iterable[str]:
    def shown(column: tuple[str, str, bool]) -> str:
        return f"{column[1]}{' not null' if column[2] else ''}"

    contract, table = ({column[0]: column for column in columns} for columns in (expected, found))
    for name in contract:
        if name not in table:
            yield f"{name}: in the contract ({shown(contract[name])}), not in the table"
        elif contract[name] != table[name]:
            yield f"{name}: {shown(contract[name])} in the contract, {shown(table[name])} in the table"
    for name in table:
        if name not in contract:
            yield f"{name}: in the table ({shown(table[name])}), not in the contract"


def value_checks(contract: Contract) -> dict[str, sql.Composable]:
    """Conditions on a row that the contract states, by the name of the constraint, for the tables that COPY fills.

    That on the event time is not among them, see ``time_check``: where there is an index on it, that is quicker.
    """
    checks: dict[str, sql.Composable] = {}
    for column in contract.columns:
        name = sql.Identifier(column.name)
        if column.type == "numeric":  # NaN is above infinity there; one in a sum is all that is left of it
            finite = sql.SQL("{0} > '-Infinity' and {0} < 'Infinity'").format(name)
            checks[f"{column.name}_finite"] = finite
        if column.type in EVENT_TIME_TYPES and column.name != contract.time_column:
            checks |= _open_range_check(column.name, column.type)
        if column.accepted_values is not None:
            values = sql.SQL(", ").join(map(sql.Literal, column.accepted_values))
            checks[f"{column.name}_accepted"] = sql.SQL("{} in ({})").format(name, values)
        if column.max_length is not None:
            length = sql.Literal(column.max_length)
            checks[f"{column.name}_length"] = sql.SQL("char_length({}) <= {}").format(name, length)
        if (max_bytes := contract.max_bytes(column)) is not None:
            checks[f"{column.name}_bytes"] = sql.SQL("octet_length({}) <= {}").format(name, sql.Literal(max_bytes))
    return checks


def _range_check(name: str, kind: ColumnType) -> dict[str, sql.Composable]:
    first, end = time_range(kind)
    return {f"{name}_range": sql.SQL("{0} >= {1} and {0} < {2}").format(sql.Identifier(name), first, end)}


def _open_range_check(name: str, kind: ColumnType) -> dict[str, sql.Composable]:
    """The same, or infinity: so Postgres exports what has no end."""
    [(constraint, condition)] = _range_check(name, kind).items()
    return {constraint: sql.SQL("{} or {} = 'infinity'").format(condition, sql.Identifier(name))}

"""Ask the warehouse as the read-only role ``analyst``, once per publication.

Source: schema ``mart`` of the warehouse that ``WAREHOUSE_HOST`` and its companions name. Whatever a publication does
not change is kept in memory until the next one; operations marts change at any time and are kept for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import pandas as pd
import streamlit as st
from psycopg.rows import namedtuple_row
from psycopg_pool import ConnectionPool

from dashboard.query import Query
from growth import table
from growth.settings import Warehouse

OPERATIONS_SECONDS = 15
KEPT_RESULTS = 2000
WAIT_SECONDS = 10
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a text begins that spreadsheets compute
SETTINGS = "-c timezone=UTC -c datestyle=ISO,YMD -c default_transaction_read_only=on -c statement_timeout=60s"

PUBLICATION = """
select publication_id, published_at, as_of_date
from mart.publications
order by publication_id desc
limit 1
"""
# A publication names the marts that it wrote: of a run of one domain, no others.
ROW_COUNTS = """
select distinct on (mart) counts.mart, cast(counts.row_count as bigint) as row_count
from mart.publications
cross join lateral jsonb_each_text(publications.row_counts) as counts (mart, row_count)
order by mart, publications.publication_id desc
"""
COMMENTS = """
select
    relations.relname as mart,
    coalesce(columns.attname, '') as column_name,
    coalesce(
        col_description(relations.oid, columns.attnum), obj_description(relations.oid, 'pg_class'), ''
    ) as description
from pg_class as relations
left join lateral (
    select attname, attnum from pg_attribute where attrelid = relations.oid and attnum > 0 and not attisdropped
    union all
    select null, 0
) as columns on true
where relations.relnamespace = 'mart'::regnamespace and relations.relkind in ('r', 'v')
"""


@dataclass(frozen=True, slots=True)
class Publication:
    """The newest publication. Before the first one, ``publication_id`` is 0."""

    publication_id: int
    published_at: Any
    as_of_date: Any

    @property
    def version(self) -> str:
        """Tells publications apart, also those of a warehouse that was started over."""
        return f"{self.publication_id} {self.published_at}"


def _no_formula(value: Any) -> Any:
    """The value; a text that begins as a formula does gets an apostrophe before it: whoever delivers data writes it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a query, exactly as the warehouse has them."""

    columns: tuple[str, ...]
    records: tuple[tuple[Any, ...], ...]

    def csv(self) -> str:
        """As ``growth sql --format csv`` prints them, but for texts that a spreadsheet would take for a formula."""
        return table.render(self.columns, [[_no_formula(value) for value in row] for row in self.records], "csv")

    def frame(self) -> pd.DataFrame:
        """For drawing: numbers become floats."""
        frame = pd.DataFrame.from_records(list(self.records), columns=list(self.columns))
        for name in [column for column in frame.columns if pd.api.types.is_object_dtype(frame[column])]:
            values = frame[name].dropna()
            if len(values) and all(hasattr(value, "as_tuple") for value in values):
                frame[name] = frame[name].astype(float)
        return frame


@st.cache_resource(show_spinner=False)
def _pool(conninfo: str) -> ConnectionPool:
    return ConnectionPool(
        conninfo,
        kwargs={"options": SETTINGS, "application_name": "growth dashboard", "autocommit": True},
        min_size=0,
        max_size=8,
        timeout=WAIT_SECONDS,
        check=ConnectionPool.check_connection,
        open=True,
    )


def _conninfo() -> str:
    warehouse = Warehouse.from_environment()
    if warehouse is None:
        raise RuntimeError("Start the dashboard with `growth dashboard`, or set WAREHOUSE_HOST.")
    return warehouse.conninfo("analyst")


def _ask(conninfo: str, statement: LiteralString, parameters: Mapping[str, Any]) -> Rows:
    with _pool(conninfo).connection() as conn:
        cursor = conn.execute(statement, parameters)
        columns = tuple(column.name for column in cursor.description or ())
        return Rows(columns, tuple(cursor.fetchall()))


def publication() -> Publication:
    """The newest publication, asked at each run of a page: it decides what else is asked.

    Raises:
        psycopg.Error, psycopg_pool.PoolTimeout: no connection, or no schema mart.
    """
    with _pool(_conninfo()).connection() as conn, conn.cursor(row_factory=namedtuple_row) as cursor:
        newest = cursor.execute(PUBLICATION).fetchone()
    return Publication(*newest) if newest else Publication(0, None, None)


# Rows cannot be changed, so what is kept is handed out itself; st.cache_data would write and read a copy at each use.
@st.cache_resource(show_spinner=False, max_entries=KEPT_RESULTS)
def _kept(conninfo: str, version: str, statement: LiteralString, parameters: dict[str, Any]) -> Rows:
    return _ask(conninfo, statement, parameters)


@st.cache_resource(show_spinner=False, max_entries=KEPT_RESULTS, ttl=OPERATIONS_SECONDS)
def _kept_briefly(conninfo: str, statement: LiteralString, parameters: dict[str, Any]) -> Rows:
    return _ask(conninfo, statement, parameters)


def fetch(query: Query, parameters: dict[str, Any], published: Publication) -> Rows:
    """Rows of a query, from memory where they cannot have changed."""
    if query.is_operations:
        return _kept_briefly(_conninfo(), query.sql, parameters)
    return _kept(_conninfo(), published.version, query.sql, parameters)


def row_counts(published: Publication) -> Mapping[str, int]:
    """Mart → rows, each by the newest publication that wrote it."""
    return dict(_kept(_conninfo(), published.version, ROW_COUNTS, {}).records)


def comments(published: Publication) -> Mapping[str, Mapping[str, str]]:
    """Mart → column → description, as dbt wrote them into the database; the column "" is the mart itself."""
    return _comments(_conninfo(), published.version)


@st.cache_resource(show_spinner=False, max_entries=4)
def _comments(conninfo: str, version: str) -> Mapping[str, Mapping[str, str]]:
    described: dict[str, dict[str, str]] = {}
    for mart, column, text in _kept(conninfo, version, COMMENTS, {}).records:
        described.setdefault(mart, {})[column] = text
    return described

"""Publish the tested candidates: schema mart_candidate → schema mart, all tables in one transaction.

Tables in mart are written over, never dropped or renamed: a reader sees the old set or the new one, and the views
and grants that users put on marts survive. What a publication changes is kept in mart_previous (growth.rollback).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from growth.mart_tables import (
    Fit,
    PublishRefused,
    Written,
    add_columns,
    copy_comments,
    fit,
    replace_columns,
    write_over,
)
from growth.settings import Warehouse

RECORD = """
insert into mart.publications (run_id, as_of_date, rules_version, row_counts, changed_counts)
select
    %s,
    (select max(calendar_date) from dwh.dim_dates),
    coalesce((select version from dwh._model_versions where model = 'fct_registrations'), ''),
    %s,
    %s
returning publication_id
"""
# for what may hold up a writer, and no reader: someone else's publication, an index being built
LOCK_TIMEOUT = "60s"
INSTRUCTIONS = """\
Nothing was published. Bring these columns back under their old names and types; or, if no reader needs them as they \
were, `growth publish --force` publishes the candidates all the same.\
"""
USERS_VIEWS = """\
Used by {views}. A forced publication is refused as long as these use the columns: change or drop them first.\
"""


class MartChanged(PublishRefused):
    """A published table cannot take its candidate: a column went or has another type."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: rows per mart, and the fewest row changes that led there."""

    publication_id: int
    row_counts: dict[str, int]
    changed_counts: dict[str, int]


def publish(warehouse: Warehouse, run_id: str, marts: Sequence[str], *, force: bool = False) -> Publication:
    """Write the candidates of the marts over the published ones and record the publication, or change nothing.

    A published mart that is not among them stays as it was, for whoever still reads it.

    Args:
        warehouse: where.
        run_id: who publishes.
        marts: the tables.
        force: also where a column went or has another type, unless a view uses it; readers of that mart wait then.

    Raises:
        PublishRefused: a candidate lacks a published column or has it with another type, and that was not forced, or
            a view uses it.
        psycopg.OperationalError: connection lost, or a lock was not released in time.
    """
    with psycopg.connect(warehouse.conninfo("transform"), autocommit=True) as conn:
        fits = [fit(conn, "mart_candidate", mart) for mart in marts]
        refuse_breaking(fits, INSTRUCTIONS, force=force)
        # New columns come first, apart from the rows: DDL locks out readers, rows do not.
        for mart in fits:
            add_columns(conn, mart)
        with conn.transaction():
            lock_publications(conn)
            if marts:  # no candidate is exchanged while the set is read
                tables = sql.SQL(", ").join(sql.Identifier("mart_candidate", mart) for mart in marts)
                conn.execute(sql.SQL("lock table {} in access share mode").format(tables))
            written, kept = write_marts(conn, "mart_candidate", fits)
            if any(result.changed_count for result in written.values()):
                forget_previous(conn, kept)
            publication = _record(conn, run_id, {mart: written[mart] for mart in marts})
        analyze(conn, written)
        return publication


def lock_publications(conn: psycopg.Connection) -> None:
    """Let one publication go on at a time; readers are not affected."""
    conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    conn.execute("lock table mart.publications in share row exclusive mode")


def refuse_breaking(fits: Sequence[Fit], instructions: str, *, force: bool) -> None:
    """Raise unless every published column is there with its type, or that is forced and no view uses it."""
    problems = [problem for mart in fits for problem in mart.problems]
    views = sorted({view for mart in fits for view in mart.views})
    if problems and (views or not force):
        used = [USERS_VIEWS.format(views=", ".join(views))] if views else []
        raise MartChanged("\n".join([*problems, *used, instructions]))


def write_marts(
    conn: psycopg.Connection, source_schema: str, fits: Sequence[Fit], *, keep: bool = True
) -> tuple[dict[str, Written], list[str]]:
    """Write over the marts, keeping the outgoing rows of those that change.

    Returns:
        What was written per mart, and the marts whose outgoing rows are in mart_previous.
    """
    written: dict[str, Written] = {}
    kept: list[str] = []

    def keep_rows(difference: Fit) -> None:
        if keep and not difference.is_new:
            _keep(conn, difference.mart)
            kept.append(difference.mart)

    # those that lock readers out come last
    for difference in sorted(fits, key=lambda one: bool(one.problems)):
        mart = difference.mart
        source, target = sql.Identifier(source_schema, mart), sql.Identifier("mart", mart)
        if difference.is_new:
            conn.execute(sql.SQL("create table {} (like {})").format(target, source))
        before = functools.partial(keep_rows, difference)
        if difference.problems:
            written[mart] = replace_columns(conn, source_schema, difference, before)
        else:
            written[mart] = write_over(conn, source_schema, mart, before)
        copy_comments(conn, source_schema, mart)
    return written, kept


def forget_previous(conn: psycopg.Connection, kept: Sequence[str] = ()) -> None:
    """Drop the rows of earlier publications, all but those just kept."""
    tables = conn.execute("select relname from pg_class where relnamespace = 'mart_previous'::regnamespace").fetchall()
    for (table,) in tables:
        if table not in kept:
            conn.execute(sql.SQL("drop table {}").format(sql.Identifier("mart_previous", table)))


def analyze(conn: psycopg.Connection, written: dict[str, Written]) -> None:
    """Bring the planner's statistics of the marts that changed up to date."""
    for mart, result in written.items():
        if result.changed_count:
            conn.execute(sql.SQL("analyze {}").format(sql.Identifier("mart", mart)))


def _keep(conn: psycopg.Connection, mart: str) -> None:
    names = {"previous": sql.Identifier("mart_previous", mart), "mart": sql.Identifier("mart", mart)}
    conn.execute(sql.SQL("drop table if exists {previous}").format(**names))
    conn.execute(sql.SQL("create table {previous} as select * from {mart}").format(**names))


def _record(conn: psycopg.Connection, run_id: str, written: dict[str, Written]) -> Publication:
    row_counts = {mart: result.row_count for mart, result in written.items()}
    changed_counts = {mart: result.changed_count for mart, result in written.items()}
    row = conn.execute(RECORD, (run_id, json.dumps(row_counts), json.dumps(changed_counts))).fetchone()
    assert row is not None
    return Publication(row[0], row_counts, changed_counts)

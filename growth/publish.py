"""Publish the tested candidates: schema mart_candidate → schema mart, all tables in one transaction.

Tables in mart are written over, never dropped or renamed: a reader sees the old set or the new one, and the views
and grants that users put on marts survive.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from growth.settings import Warehouse

COLUMNS = """
select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum
"""


class MartChanged(Exception):
    """A published table cannot take its candidate: a column went or has another type."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: rows per mart."""

    publication_id: int
    row_counts: dict[str, int]


def publish(warehouse: Warehouse, run_id: str, marts: Sequence[str]) -> Publication:
    """Write the candidates of the marts over the published ones and record the publication, or change nothing.

    A published mart that is not among them stays as it was, for whoever still reads it.

    Raises:
        MartChanged: a candidate lacks a published column or has it with another type.
        psycopg.OperationalError: connection lost, or a reader's lock was not released in time.
    """
    with psycopg.connect(warehouse.conninfo("transform"), autocommit=True) as conn:
        # New tables and columns come first, in a transaction of their own: DDL locks out readers, rows do not.
        with conn.transaction():
            conn.execute("set local lock_timeout = '5s'")
            for mart in marts:
                _match_columns(conn, mart)
        with conn.transaction():
            # one publication at a time; readers are not affected
            conn.execute("lock table mart.publications in share row exclusive mode")
            row_counts = {mart: _write_over(conn, mart) for mart in marts}
            row = conn.execute(
                "insert into mart.publications (run_id, as_of_date, rules_version, row_counts) "
                "select %s, (select max(calendar_date) from dwh.dim_dates), "
                "coalesce((select version from dwh._model_versions where model = 'fct_registrations'), ''), %s "
                "returning publication_id",
                (run_id, json.dumps(row_counts)),
            ).fetchone()
            assert row is not None
        for mart in marts:
            conn.execute(sql.SQL("analyze {}").format(sql.Identifier("mart", mart)))
        return Publication(row[0], row_counts)


def _write_over(conn: psycopg.Connection, mart: str) -> int:
    columns = sql.SQL(", ").join(sql.Identifier(name) for name, _, _ in conn.execute(COLUMNS, (f"mart.{mart}",)))
    target = sql.Identifier("mart", mart)
    conn.execute(sql.SQL("delete from {}").format(target))
    statement = sql.SQL("insert into {target} ({columns}) select {columns} from {source}").format(
        target=target, columns=columns, source=sql.Identifier("mart_candidate", mart)
    )
    return conn.execute(statement).rowcount


def _match_columns(conn: psycopg.Connection, mart: str) -> None:
    source, target = sql.Identifier("mart_candidate", mart), sql.Identifier("mart", mart)
    create = sql.SQL("create table if not exists {} (like {})")
    conn.execute(create.format(target, source))
    candidate = {name: (kind, comment) for name, kind, comment in conn.execute(COLUMNS, (f"mart_candidate.{mart}",))}
    published = {name: (kind, comment) for name, kind, comment in conn.execute(COLUMNS, (f"mart.{mart}",))}
    for name, (kind, _) in published.items():
        if name not in candidate:
            raise MartChanged(f"mart.{mart}.{name} is published, but the candidate has no such column.")
        if candidate[name][0] != kind:
            raise MartChanged(f"mart.{mart}.{name} is {kind}, but the candidate has it as {candidate[name][0]}.")
    for name, (kind, comment) in candidate.items():
        column = sql.Identifier("mart", mart, name)
        if name not in published:
            add = sql.SQL("alter table {} add column {} {}")
            conn.execute(add.format(target, sql.Identifier(name), sql.SQL(kind)))
        if comment != published.get(name, (None, None))[1]:
            conn.execute(sql.SQL("comment on column {} is {}").format(column, sql.Literal(comment)))
    description = conn.execute(
        "select obj_description(%s::regclass), obj_description(%s::regclass)",
        (f"mart_candidate.{mart}", f"mart.{mart}"),
    ).fetchone()
    if description and description[0] != description[1]:
        conn.execute(sql.SQL("comment on table {} is {}").format(target, sql.Literal(description[0])))

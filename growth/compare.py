"""The command ``growth compare``: the published marts of two warehouses, such as staging and prod, side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from growth import checksum, table
from growth.console import connect

# They tell what happened to a warehouse, which is another one's business.
LOGS = ("publications", "gate_results", "dbt_invocations")
COLUMNS = """
select table_name, array_agg(column_name::text order by column_name)
from information_schema.columns join pg_tables on schemaname = table_schema and tablename = table_name
where table_schema = 'mart' and table_name <> all(%s)
group by table_name
"""
HEADERS = ("mart", "rows here", "rows there", "is")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A mart in two warehouses; a count is None where there is no such mart."""

    mart: str
    rows_here: int | None
    rows_there: int | None
    difference: str


@click.command()
@click.argument("other", metavar="CONNECTION")
@click.option("--format", "style", type=click.Choice(table.STYLES), default="table", show_default=True)
def compare(other: str, style: str) -> None:
    """Compare the published marts with those of another warehouse; exits 1 where they differ.

    CONNECTION is a connection string or address of libpq, such as "host=127.0.0.1 port=5438". What it leaves out is as
    here: the role analyst, its password, the database.
    """
    here = connect().conninfo("analyst")
    there = make_conninfo(here, **conninfo_to_dict(other))
    with psycopg.connect(here) as mine, psycopg.connect(there) as others:
        found = compare_marts(mine, others)
    rows = [(each.mart, each.rows_here, each.rows_there, each.difference or "the same") for each in found]
    click.echo(table.render(HEADERS, rows, style), nl=False)
    sys.exit(1 if any(each.difference for each in found) else 0)


def compare_marts(here: psycopg.Connection, there: psycopg.Connection) -> list[Comparison]:
    """Every mart of either warehouse; the rows are compared in the columns that both have."""
    mine, others = _columns(here), _columns(there)
    return [_compare(mart, mine, others, here, there) for mart in sorted(mine.keys() | others.keys())]


def _compare(
    mart: str,
    mine: Mapping[str, list[str]],
    others: Mapping[str, list[str]],
    here: psycopg.Connection,
    there: psycopg.Connection,
) -> Comparison:
    if mart not in others:
        return Comparison(mart, _fingerprint(here, mart, mine[mart])[0], None, "only here")
    if mart not in mine:
        return Comparison(mart, None, _fingerprint(there, mart, others[mart])[0], "only there")
    common = [column for column in mine[mart] if column in others[mart]]
    first, second = _fingerprint(here, mart, common), _fingerprint(there, mart, common)
    faults = ["other rows"] if first != second else []
    for where, columns, known in (("here", mine[mart], others[mart]), ("there", others[mart], mine[mart])):
        if added := [column for column in columns if column not in known]:
            faults.append(f"{', '.join(added)} only {where}")
    return Comparison(mart, first[0], second[0], "; ".join(faults))


def _columns(conn: psycopg.Connection) -> dict[str, list[str]]:
    return dict(conn.execute(COLUMNS, [list(LOGS)]).fetchall())


def _fingerprint(conn: psycopg.Connection, mart: str, columns: list[str]) -> tuple[int, str]:
    record = sql.SQL("row({})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    query = sql.SQL("select count(*), {} from mart.{}").format(checksum.of_rows(record), sql.Identifier(mart))
    row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0]), str(row[1])

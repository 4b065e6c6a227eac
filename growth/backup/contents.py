"""What the warehouse holds, as figures that are the same before a backup and after its restore.

Source: every table of raw, dwh, mart and the schemas beside them. Checksums are of the published marts and of the
ledger: a sum over rows, so that the order of rows is none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from growth import checksum

TABLES = """
select nspname, relname, nspname = 'mart' or (nspname = 'raw' and relname = '_loads')
from pg_class
inner join pg_namespace on relnamespace = pg_namespace.oid
where relkind = 'r' and nspname in ('raw', 'dwh', 'mart', 'mart_candidate', 'mart_previous')
order by 1, 2
"""
DIFFERENCES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TableContents:
    """Rows of a table, those of its children apart; ``checksum`` over the rows, None where none was taken."""

    row_count: int
    checksum: str | None = None


def measure(conn: psycopg.Connection) -> dict[str, TableContents]:
    """Rows and checksums of all tables, by schema and name.

    Args:
        conn: as the owner; with ``Warehouse.conninfo``, so that times read the same everywhere.
    """
    contents = {}
    for schema, table, has_checksum in conn.execute(TABLES).fetchall():
        summed = checksum.of_rows(sql.SQL("rows")) if has_checksum else sql.SQL("null")
        query = sql.SQL("select count(*), {} from only {} as rows").format(summed, sql.Identifier(schema, table))
        row = conn.execute(query).fetchone()
        assert row is not None
        contents[f"{schema}.{table}"] = TableContents(*row)
    return contents


def differences(before: Mapping[str, TableContents], after: Mapping[str, TableContents]) -> list[str]:
    """Lines that say which tables are not as they were; empty where all are."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            lines.append(f"{name} is missing")
        elif name not in before:
            lines.append(f"{name} was not in the backup")
        elif before[name].row_count != after[name].row_count:
            lines.append(f"{name} has {after[name].row_count:,} rows instead of {before[name].row_count:,}")
        elif before[name] != after[name]:
            lines.append(f"{name} has as many rows as before, with other contents")
    return lines[:DIFFERENCES_SHOWN] + ["..."] * (len(lines) > DIFFERENCES_SHOWN)

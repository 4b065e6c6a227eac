"""One number for the rows of a table, whatever their order, the same on every release of Postgres and every machine."""

from __future__ import annotations

from psycopg import sql


def of_rows(row: sql.Composable) -> sql.Composed:
    """SQL of the checksum over rows, as text; half an md5 of each added up, since Postgres' own hashes may change.

    Args:
        row: the row, or a record of some of its columns.
    """
    return sql.SQL("coalesce(sum(('x' || left(md5({}::text), 15))::bit(60)::bigint::numeric), 0)::text").format(row)

"""Bring a raw table in line with a contract that has changed, where no value of its rows is lost or made up.

Target: ``raw.<feed>`` and ``raw._removed_<feed>``, with the tables of large loads that are their children. With rows,
columns may come (nullable), widen and stop being required; become required where every row has a value. A table
without rows follows any contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import errors, sql

from ingest.contract import EXTRACT_DATE, ColumnType, Contract
from ingest.errors import RawSchemaMismatchError
from ingest.server import scalar
from ingest.tables import columns_of, differing_columns, qualified_time_index, raw_table, removed_table

# Any type widens to text too.
_WIDER: Mapping[str, tuple[ColumnType, ...]] = {
    "integer": ("bigint", "numeric"),
    "bigint": ("numeric",),
    "date": ("timestamptz",),
}
# Schemas (of dbt's targets prod and dev) whose views every dbt run makes again.
_REBUILT_SCHEMAS = "(^|_)(staging|dwh|mart_candidate)$"

_DEPENDENT_VIEWS = """
with recursive members as (
    select %(table)s::regclass::oid as oid
    union all
    select inhrelid from pg_inherits where inhparent = %(table)s::regclass
),

dependent as (
    select pg_rewrite.ev_class as oid, 1 as depth
    from pg_depend
    inner join members on pg_depend.refobjid = members.oid
    inner join pg_attribute
        on pg_depend.refobjid = pg_attribute.attrelid and pg_depend.refobjsubid = pg_attribute.attnum
    inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
    where
        pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.refclassid = 'pg_class'::regclass
        and pg_attribute.attname = any(%(columns)s)
    union
    select pg_rewrite.ev_class, dependent.depth + 1
    from dependent
    inner join pg_depend on dependent.oid = pg_depend.refobjid
    inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
    where
        pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.refclassid = 'pg_class'::regclass
        and pg_rewrite.ev_class <> dependent.oid
)

select
    pg_namespace.nspname, pg_class.relname, pg_get_userbyid(pg_class.relowner),
    pg_class.relkind = 'v' and pg_namespace.nspname ~ %(rebuilt)s
from (select oid, max(depth) as depth from dependent group by oid) as ranked
inner join pg_class on ranked.oid = pg_class.oid
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
order by ranked.depth desc, 1, 2
"""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one table needs.

    ``rebuilt``: columns that no view may depend on meanwhile; ``loosened``: those that need no value any more;
    ``faults``: what cannot be done.
    """

    table: sql.Identifier
    actions: tuple[sql.Composable, ...]
    rebuilt: tuple[str, ...]
    loosened: tuple[str, ...]
    lines: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    type: ColumnType
    is_required: bool


def migrate(conn: psycopg.Connection, contract: Contract) -> list[str]:
    """Alter a feed's raw tables to have the contract's columns; nothing where they have them.

    Views that every dbt run makes again are dropped where a column that they read changes its type.

    Args:
        conn: connection inside a transaction, acting as the owner of the raw tables. Its login must be a member of the
            role that owns the views.
        contract: the feed's contract; raw.<feed> is there.

    Returns:
        What was changed, a line each.

    Raises:
        RawSchemaMismatchError: the tables cannot follow; the message says why for each column, and what to do.
            Nothing is to be committed then.
    """
    tables = [table for table in (raw_table(contract.feed), removed_table(contract.feed)) if columns_of(conn, table)]
    moved_from = _former_time_column(conn, contract)
    if not moved_from and not any(differing_columns(contract, columns_of(conn, table)) for table in tables):
        return []
    # From here on no load can bring rows that the checks below have not seen.
    # Waiting longer, it would keep every other reader waiting behind it.
    conn.execute("set local lock_timeout = '1min'")
    conn.execute(sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(", ").join(tables)))
    in_files = sql.SQL("feed = {} and aged_at is not null").format(sql.Literal(contract.feed))
    has_cold = _exists(conn, sql.Identifier("raw", "_cold_files"), in_files)
    has_rows = has_cold or any(_exists(conn, table, sql.SQL("true")) for table in tables)
    plans = [_plan(conn, contract, table, has_rows=has_rows, has_cold=has_cold) for table in tables]
    faults = list(dict.fromkeys(fault for plan in plans for fault in plan.faults))
    if moved_from and has_rows and EXTRACT_DATE not in (moved_from, contract.time_column):
        faults.append(f"event_time: its rows are counted by the days of {moved_from}: keep event_time: {moved_from}")
    if faults:
        raise _mismatch(contract, faults)
    try:
        lines = _apply(conn, contract, plans)
    except (errors.DependentObjectsStillExist, errors.FeatureNotSupported, errors.InsufficientPrivilege) as error:
        detail = "; ".join(filter(None, [error.diag.message_primary, error.diag.message_detail]))
        raise _mismatch(contract, [" ".join(detail.split())]) from error
    if moved_from and not has_rows:
        # It is made again for the new column, like everything that is missing.
        conn.execute(sql.SQL("drop index if exists {}").format(sql.SQL(qualified_time_index(contract.feed))))
        lines.append(f"raw.{contract.feed}: event time is {contract.time_column}, no longer {moved_from}")
    return lines


def _mismatch(contract: Contract, faults: list[str]) -> RawSchemaMismatchError:
    return RawSchemaMismatchError(
        f"raw.{contract.feed} cannot follow its contract {contract.domain}/{contract.feed}.yml:\n"
        + "\n".join(f"  {fault}" for fault in faults)
        + f"\nTo start over: unload every file of {contract.feed}, let the models run, then growth init, and land the"
        " files again."
    )


def _plan(
    conn: psycopg.Connection, contract: Contract, table: sql.Identifier, *, has_rows: bool, has_cold: bool
) -> _Plan:
    wanted = {column.name: _Wanted(column.type, not column.nullable) for column in contract.columns}
    if contract.has_extract_date:
        wanted[EXTRACT_DATE] = _Wanted("date", True)
    found = {
        name: (kind, required)
        for name, kind, required in columns_of(conn, table)
        if name == EXTRACT_DATE or not name.startswith("_")
    }
    shown = table.as_string(conn).replace('"', "")
    actions: list[sql.Composable] = []
    rebuilt, loosened, lines, faults = [], [], [], []
    for name, column in wanted.items():
        identifier, kind = sql.Identifier(name), sql.SQL(column.type)
        if name not in found:
            if has_rows and column.is_required:
                faults.append(_new_column_fault(name))
            required = sql.SQL(" not null" if column.is_required else "")
            actions.append(sql.SQL("add column {} {}{}").format(identifier, kind, required))
            lines.append(f"{shown}: added column {name} ({column.type})")
            continue
        old_type, was_required = found[name]
        if old_type != column.type:
            if has_rows and (fault := _type_fault(contract, name, old_type, column.type)):
                faults.append(fault)
            faults += [_cold_fault(contract, name)] if has_cold else []
            using = _converted(name, old_type, column.type) if has_rows else sql.SQL("cast(null as {})").format(kind)
            actions.append(sql.SQL("alter column {} type {} using {}").format(identifier, kind, using))
            rebuilt.append(name)
            lines.append(f"{shown}: changed {name} from {old_type} to {column.type}")
        if column.is_required and not was_required:
            faults += [_cold_fault(contract, name)] if has_cold else []
            if _exists(conn, table, sql.SQL("{} is null").format(identifier)):
                faults.append(f"{name}: {shown} has rows without it, so it cannot become required: keep it nullable")
            actions.append(sql.SQL("alter column {} set not null").format(identifier))
            lines.append(f"{shown}: {name} is required now")
        elif was_required and not column.is_required:
            actions.append(sql.SQL("alter column {} drop not null").format(identifier))
            loosened.append(name)
            lines.append(f"{shown}: {name} is nullable now")
    for name in (name for name in found if name not in wanted):
        if has_rows:
            faults.append(_old_column_fault(name, found[name][0]))
        actions.append(sql.SQL("drop column {}").format(sql.Identifier(name)))
        rebuilt.append(name)
        lines.append(f"{shown}: dropped column {name}")
    return _Plan(table, tuple(actions), tuple(rebuilt), tuple(loosened), tuple(lines), tuple(faults))


def _new_column_fault(name: str) -> str:
    if name == EXTRACT_DATE:
        return "delivery: the rows of before have no extract date, as a full_extract needs: keep delivery as it was"
    return f"{name}: is new and required, but the rows of before have no value for it: make it nullable"


def _old_column_fault(name: str, old_type: str) -> str:
    if name == EXTRACT_DATE:
        return "delivery: the rows of before are full extracts, one beside the other: keep delivery: full_extract"
    return (
        f"{name}: is not in the contract, and its values would be lost: keep it there as {old_type},"
        " and nullable if files no longer have it; if files call it otherwise now, add that name to its aliases"
    )


def _cold_fault(contract: Contract, name: str) -> str:
    return (
        f"{name}: rows that left raw (retention.raw_days) are in files as it was: bring them back first, `growth thaw"
        f" {contract.feed}`; the next run takes them out again"
    )


def _type_fault(contract: Contract, name: str, old_type: str, new_type: ColumnType) -> str | None:
    if name == contract.event_time:
        return f"{name}: is the event time, by whose days its rows are counted: keep the type {old_type}"
    wider = tuple(dict.fromkeys([*_WIDER.get(old_type, ()), *(["text"] if old_type != "text" else [])]))
    if new_type in wider:
        return None
    choices = " or take ".join([old_type, *wider])
    return f"{name}: {old_type} cannot become {new_type} without loss: keep the type {choices}"


def _converted(name: str, old_type: str, new_type: ColumnType) -> sql.Composed:
    if (old_type, new_type) == ("date", "timestamptz"):
        return sql.SQL("cast({} as timestamp) at time zone 'UTC'").format(sql.Identifier(name))
    return sql.SQL("cast({} as {})").format(sql.Identifier(name), sql.SQL(new_type))


def _apply(conn: psycopg.Connection, contract: Contract, plans: list[_Plan]) -> list[str]:
    lines: list[str] = []
    with _texts_as_in_utc(conn):
        for plan in plans:
            if not plan.actions:
                continue
            lines += _drop_views(conn, contract, plan)
            members = [plan.table, *_children(conn, plan.table)]
            if plan.rebuilt:
                # A condition in words of the old type cannot stay; ensure_raw makes those of the contract again.
                for member in members:
                    _drop_checks(conn, member, plan.rebuilt)
            conn.execute(sql.SQL("alter table {} {}").format(plan.table, sql.SQL(", ").join(plan.actions)))
            # Postgres 18 leaves a child the constraint that it was made with.
            for member in members[1:]:
                for name in plan.loosened:
                    loosen = sql.SQL("alter table {} alter column {} drop not null")
                    conn.execute(loosen.format(member, sql.Identifier(name)))
            lines += plan.lines
    return lines


def _drop_views(conn: psycopg.Connection, contract: Contract, plan: _Plan) -> list[str]:
    """Drop the views that read a column which is rebuilt, those that read others of them first."""
    parameters = {
        **{"table": plan.table.as_string(conn), "columns": list(plan.rebuilt)},
        "rebuilt": _REBUILT_SCHEMAS,
    }
    views = conn.execute(_DEPENDENT_VIEWS, parameters).fetchall()
    faults = [
        f"{schema}.{name} depends on {', '.join(plan.rebuilt)} and no dbt run makes it again: drop it, run growth init,"
        " and create it again"
        for schema, name, _, is_rebuilt in views
        if not is_rebuilt
    ]
    if faults:
        raise _mismatch(contract, faults)
    lines = []
    for schema, name, owner, _ in views:
        # Only its owner may drop it, and that is not the owner of raw.
        try:
            with _acting_as(conn, owner):
                conn.execute(sql.SQL("drop view {}").format(sql.Identifier(schema, name)))
        except errors.InsufficientPrivilege as error:
            message = f"{schema}.{name} depends on {', '.join(plan.rebuilt)}: {error.diag.message_primary};"
            raise _mismatch(contract, [f"{message} let a member of {owner} drop it or run growth init"]) from error
        lines.append(f"{schema}.{name}: dropped this view, the next dbt run makes it again")
    return lines


def _drop_checks(conn: psycopg.Connection, table: sql.Identifier, columns: tuple[str, ...]) -> None:
    names = conn.execute(
        """
        select conname from pg_constraint
        where conrelid = %s::regclass and contype = 'c' and conislocal and exists (
            select from pg_attribute
            where attrelid = conrelid and attnum = any(conkey) and attname = any(%s)
        )
        """,
        [table.as_string(conn), list(columns)],
    ).fetchall()
    for (name,) in names:
        conn.execute(sql.SQL("alter table {} drop constraint {}").format(table, sql.Identifier(name)))


@contextmanager
def _acting_as(conn: psycopg.Connection, role: str) -> Iterator[None]:
    before = scalar(conn, "select current_setting('role')")
    if scalar(conn, "select current_user") != role:
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    yield
    conn.execute("select set_config('role', %s, true)", [before])


@contextmanager
def _texts_as_in_utc(conn: psycopg.Connection) -> Iterator[None]:
    """A time that becomes text is written as UTC and ISO, whatever the session says."""
    wanted = {"timezone": "UTC", "datestyle": "ISO, YMD"}
    before = {name: str(scalar(conn, "select current_setting(%s)", name)) for name in wanted}
    for name, value in wanted.items():
        conn.execute("select set_config(%s, %s, true)", [name, value])
    yield
    for name, value in before.items():
        conn.execute("select set_config(%s, %s, true)", [name, value])


def _former_time_column(conn: psycopg.Connection, contract: Contract) -> str | None:
    """The column by which the table's rows are indexed, where it is not the contract's time column."""
    column = scalar(
        conn,
        "select min(attname) from pg_attribute where attrelid = to_regclass(%s) and attnum = 1",
        qualified_time_index(contract.feed),
    )
    return None if column in (None, contract.time_column) else cast(str, column)


def _children(conn: psycopg.Connection, table: sql.Identifier) -> list[sql.Identifier]:
    rows = conn.execute(
        """
        select nspname, relname
        from pg_inherits
        inner join pg_class on inhrelid = pg_class.oid
        inner join pg_namespace on relnamespace = pg_namespace.oid
        where inhparent = %s::regclass
        """,
        [table.as_string(conn)],
    ).fetchall()
    return [sql.Identifier(schema, name) for schema, name in rows]


def _exists(conn: psycopg.Connection, table: sql.Identifier, condition: sql.Composable) -> bool:
    query = sql.SQL("select exists (select from {} where {})").format(table, condition)
    return bool(scalar(conn, query))

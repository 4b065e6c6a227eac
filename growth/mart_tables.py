"""One published table at a time: do the new rows fit it, keep its rows, write over them.

Source: a table of the same name in another schema (the candidate, or the rows that were kept). Target: schema mart.
Nothing here drops or renames a published table, and only new or forced columns lock readers out, for an instant.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingest.errors import ExpectedError

# A reader that holds a table up holds up the readers behind us, too: for no longer than this, then we step back.
QUEUE_MILLISECONDS = 50
PATIENCE_SECONDS = 30.0

COLUMNS = """
select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum
"""
VIEWS = """
select distinct views.relnamespace::regnamespace || '.' || quote_ident(views.relname)
from pg_depend as uses
inner join pg_rewrite as rules on uses.classid = 'pg_rewrite'::regclass and uses.objid = rules.oid
inner join pg_class as views on rules.ev_class = views.oid
inner join pg_attribute as columns on uses.refobjid = columns.attrelid and uses.refobjsubid = columns.attnum
where uses.refclassid = 'pg_class'::regclass and columns.attrelid = to_regclass(%s) and columns.attname = any(%s)
order by 1
"""
# Rows are compared as text: to the last digit, and for types that know no equality. Equal rows are numbered, so that
# each has one partner at most.
DIFFERENCE = """
create temporary table difference on commit drop as
with published as (
    select place, hash, row_number() over (partition by hash) as copy
    from (select ctid as place, sha256(convert_to(row({columns})::text, 'UTF8')) as hash from {target}) as hashed
),
coming as (
    select place, hash, row_number() over (partition by hash) as copy
    from (select ctid as place, sha256(convert_to(row({incoming})::text, 'UTF8')) as hash from {source}) as hashed
)
select published.place as outgoing, coming.place as incoming
from published full join coming using (hash, copy)
where published.place is null or coming.place is null
"""
INSERT = "insert into {target} ({columns}) select {incoming} from {source}"


class PublishRefused(ExpectedError):
    """Nothing was published; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a published table differs from the rows that are to come.

    ``added`` and ``retyped`` are column → new type, ``removed`` are columns. ``problems`` has a line for each column
    that went or has another type, ``views`` are the views that use one.
    """

    mart: str
    is_new: bool
    added: dict[str, str]
    removed: list[str]
    retyped: dict[str, str]
    problems: list[str]
    views: list[str]


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that a mart has now, and the fewest inserts, updates and deletes that lead there."""

    row_count: int
    changed_count: int


def fit(conn: psycopg.Connection, source_schema: str, mart: str, *, may_lack: bool = False) -> Fit:
    """Compare the columns of ``source_schema.mart`` with the published ones.

    Args:
        conn: any connection.
        source_schema: where the rows to come are.
        mart: the table.
        may_lack: a column that is published only is no difference: it will be null.

    Raises:
        PublishRefused: there is no such table.
    """
    coming = _types(conn, source_schema, mart)
    if not coming:
        raise PublishRefused(f"{source_schema}.{mart} does not exist: build it first.")
    published = _types(conn, "mart", mart)
    removed = [] if may_lack else [name for name in published if name not in coming]
    retyped = {name: kind for name, kind in coming.items() if published.get(name, kind) != kind}
    names = [*removed, *retyped]
    return Fit(
        mart=mart,
        is_new=not published,
        added={name: kind for name, kind in coming.items() if published and name not in published},
        removed=removed,
        retyped=retyped,
        problems=[f"mart.{mart}.{name} is published, but {source_schema}.{mart} lacks it." for name in removed]
        + [
            f"mart.{mart}.{name} is {published[name]}, but {kind} in {source_schema}." for name, kind in retyped.items()
        ],
        views=[view for (view,) in conn.execute(VIEWS, (_qualified("mart", mart), names))] if names else [],
    )


def add_columns(conn: psycopg.Connection, difference: Fit) -> None:
    """Add the new columns to the published table; needs a connection outside a transaction.

    Raises:
        psycopg.errors.LockNotAvailable: a reader kept the table for longer than we wait.
    """
    if not difference.added:
        return
    additions = sql.SQL(", ").join(
        sql.SQL("add column if not exists {} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in difference.added.items()
    )
    # one statement, its own transaction: the lock is gone with its end
    alter = sql.SQL("alter table {} {}").format(sql.Identifier("mart", difference.mart), additions)
    _give_way(conn, lambda: conn.execute(alter))


def write_over(conn: psycopg.Connection, source_schema: str, mart: str, before: Callable[[], None]) -> Written:
    """Bring the rows of a published table to those of ``source_schema.mart``, touching what differs (all, if most).

    Args:
        conn: inside the transaction of the publication.
        source_schema: where the rows to come are.
        mart: the table; its columns fit.
        before: called before the first row changes, if one does.
    """
    source, target = sql.Identifier(source_schema, mart), sql.Identifier("mart", mart)
    published, coming = _types(conn, "mart", mart), _types(conn, source_schema, mart)
    columns = sql.SQL(", ").join(map(sql.Identifier, published))
    incoming = sql.SQL(", ").join(
        sql.Identifier(name) if name in coming else sql.SQL("null::{}").format(sql.SQL(kind))
        for name, kind in published.items()
    )
    conn.execute("drop table if exists pg_temp.difference")
    conn.execute(sql.SQL(DIFFERENCE).format(columns=columns, incoming=incoming, target=target, source=source))
    row = conn.execute("select count(outgoing), count(incoming) from pg_temp.difference").fetchone()
    assert row is not None
    if any(row):
        before()
        delete = sql.SQL("delete from {}").format(target)
        insert = sql.SQL(INSERT).format(target=target, columns=columns, incoming=incoming, source=source)
        if row[0] < _row_count(conn, "mart", mart) / 2:
            delete += sql.SQL(" using pg_temp.difference where {}.ctid = outgoing").format(target)
            insert += sql.SQL(" where ctid in (select incoming from pg_temp.difference) order by ctid")
        # else most rows differ, and writing all of them is faster
        conn.execute(delete)
        conn.execute(insert)
    return Written(_row_count(conn, "mart", mart), max(row))


def replace_columns(
    conn: psycopg.Connection, source_schema: str, difference: Fit, before: Callable[[], None]
) -> Written:
    """Take out columns that went or have another type, put the new ones in their place, write every row anew.

    Locks readers of the mart out until the transaction ends: to be done last. ``before`` is called first, if there
    are rows.

    Raises:
        PublishRefused: something that is not ours uses such a column.
        psycopg.errors.LockNotAvailable: a reader kept the table for longer than we wait.
    """
    mart = difference.mart
    target, source = sql.Identifier("mart", mart), sql.Identifier(source_schema, mart)
    changed_count = max(_row_count(conn, "mart", mart), _row_count(conn, source_schema, mart))
    if changed_count:
        before()
    _give_way(conn, lambda: conn.execute(sql.SQL("lock table {} in access exclusive mode").format(target)))
    conn.execute(sql.SQL("delete from {}").format(target))
    # Dropped and added, never altered: that would rewrite the table, and an older snapshot would see it empty.
    actions = [
        sql.SQL("drop column {} restrict").format(sql.Identifier(name))
        for name in [*difference.removed, *difference.retyped]
    ]
    actions += [
        sql.SQL("add column {} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in difference.retyped.items()
    ]
    try:
        conn.execute(sql.SQL("alter table {} {}").format(target, sql.SQL(", ").join(actions)))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise PublishRefused(
            f"mart.{mart}: columns that are to go are in use, and nothing is taken from under its users.\n"
            f"{error.diag.message_detail}\nChange or drop these first, then try again."
        ) from error
    columns = sql.SQL(", ").join(map(sql.Identifier, _types(conn, source_schema, mart)))
    insert = sql.SQL("insert into {target} ({columns}) select {columns} from {source}")
    row_count = conn.execute(insert.format(target=target, columns=columns, source=source)).rowcount
    return Written(row_count, changed_count)


def copy_comments(conn: psycopg.Connection, source_schema: str, mart: str) -> None:
    """Copy the comments of table and columns; where the source has none, the published one stays."""
    target = sql.Identifier("mart", mart)
    published = {name: comment for name, _, comment in _columns(conn, "mart", mart)}
    for name, _, comment in _columns(conn, source_schema, mart):
        if comment is not None and comment != published.get(name):
            column = sql.Identifier("mart", mart, name)
            conn.execute(sql.SQL("comment on column {} is {}").format(column, sql.Literal(comment)))
    row = conn.execute(
        "select obj_description(to_regclass(%s), 'pg_class'), obj_description(to_regclass(%s), 'pg_class')",
        (_qualified(source_schema, mart), _qualified("mart", mart)),
    ).fetchone()
    if row and row[0] is not None and row[0] != row[1]:
        conn.execute(sql.SQL("comment on table {} is {}").format(target, sql.Literal(row[0])))


def _give_way(conn: psycopg.Connection, lock: Callable[[], object]) -> None:
    """Try for a lock in short attempts, so that no reader ever queues long behind us."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    in_transaction = conn.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE
    before = conn.execute("select current_setting('lock_timeout')").fetchone()
    assert before is not None
    conn.execute("select set_config('lock_timeout', %s, %s)", (f"{QUEUE_MILLISECONDS}ms", in_transaction))
    while True:
        try:
            if in_transaction:
                with conn.transaction():
                    lock()
            else:
                lock()
            break
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    conn.execute("select set_config('lock_timeout', %s, %s)", (before[0], in_transaction))


def _columns(conn: psycopg.Connection, schema: str, mart: str) -> list[tuple[str, str, str | None]]:
    return conn.execute(COLUMNS, (_qualified(schema, mart),)).fetchall()


def _types(conn: psycopg.Connection, schema: str, mart: str) -> dict[str, str]:
    return {name: kind for name, kind, _ in _columns(conn, schema, mart)}


def _row_count(conn: psycopg.Connection, schema: str, mart: str) -> int:
    row = conn.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, mart))).fetchone()
    assert row is not None
    return int(row[0])


def _qualified(schema: str, table: str) -> str:
    """The name as ``to_regclass`` reads it."""
    return sql.Identifier(schema, table).as_string()

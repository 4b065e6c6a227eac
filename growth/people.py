"""Where the warehouse holds people, beyond schema raw, and how they are taken out of there.

Source and target: every table of every schema with a column of users' ids. dwh and marts follow from raw when they
are built; what is here is for all that no run builds anew: keys, published rows, other people's schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from growth.roles import is_superuser
from growth.settings import Warehouse
from ingest.contract import Contract
from ingest.id_texts import any_of, long_ids, patterns
from ingest.tombstones import clean

USER_COLUMNS = ("user_id", "userid")
# Columns of Elementary with failing rows as JSON, for those who have it keep some (test_sample_row_count).
SAMPLES = ("result_row", "result_rows")
TABLES = """
select pg_namespace.nspname, pg_class.relname, pg_class.relkind = 'm', pg_get_userbyid(pg_class.relowner),
    coalesce(array_agg(attname::text) filter (where attname = any(%(names)s)), '{}') as users,
    bool_or(attname = 'identity') as has_identity,
    coalesce(
        array_agg(attname::text) filter (
            where not attname = any(%(names)s) and format_type(atttypid, null) in ('text', 'character varying')
        ), '{}'
    ) as texts,
    bool_and(
        has_schema_privilege(pg_namespace.oid, 'usage') and has_table_privilege(pg_class.oid, 'select')
    ) as is_readable
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
inner join pg_attribute on pg_class.oid = pg_attribute.attrelid
where
    pg_class.relkind in ('r', 'm') and attnum > 0 and not attisdropped
    and nspname <> 'raw' and nspname <> 'information_schema' and nspname !~ '^pg_'
group by 1, 2, 3, 4
having bool_or(attname = any(%(names)s) or format_type(atttypid, null) in ('text', 'character varying'))
order by 1, 2
"""
# What of a session's errors the server's log leaves out: values, and statements, of which ours name the people.
QUIET = {"log_error_verbosity": "terse", "log_min_error_statement": "panic"}
KEPT_FAILURES, ROLLBACK_COPIES = "(^|_)dq_failures$", "(^|_)mart_previous$"


@dataclass(frozen=True, slots=True)
class Place:
    """A table that holds rows of the people; ``is_sure`` where a column of users says so."""

    table: str
    row_count: int
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class People:
    """Users of one identity, and the contracts of its feeds; ``is_only`` where no feed has another identity."""

    identity: str
    users: tuple[str, ...]
    contracts: tuple[Contract, ...]
    is_only: bool

    @property
    def columns(self) -> list[str]:
        """Names of columns that hold users' ids: the contracts', and those of the models."""
        return sorted({*USER_COLUMNS, *(str(contract.user) for contract in self.contracts)})


@contextmanager
def connect(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """Connection as the owner, whose statements with ids stay out of the server's log where the owner may say so.

    Not a setting of the role, as for others: of what else the owner does, the log is to tell.
    """
    with psycopg.connect(warehouse.conninfo()) as conn:
        for name, value in QUIET.items():
            conn.execute(
                "select set_config(%s, %s, false) where has_parameter_privilege(%s, 'set')", [name, value, name]
            )
        conn.commit()
        yield conn


def find(conn: psycopg.Connection, people: People) -> list[Place]:
    """The tables outside of raw with rows of the people; a column of any name counts where the id is long enough."""
    places = []
    for each in _tables(conn, people):
        if each.users and (count := _count(conn, each, each.rows_of(people))):
            places.append(Place(each.name, count, is_sure=each.has_identity or people.is_only))
            continue
        long = long_ids(people.users)
        if long and each.texts and (count := _count(conn, each, _equal(each.texts, long))):
            places.append(Place(each.name, count, is_sure=False))
    return places


def unsearched(warehouse: Warehouse, people: People) -> list[str]:
    """The tables that could hold the people, and that the owner, who is no superuser then, may not read."""
    with connect(warehouse) as conn:
        return [each.name for each in _all_tables(conn, people) if not each.is_readable]


def erase(warehouse: Warehouse, people: People, schemas: str, *, only_sure: bool) -> list[Place]:
    """Delete the people's rows from the tables of the schemas whose name matches a pattern.

    A materialized view that has some is refreshed instead, once its tables have none.

    Args:
        warehouse: where.
        people: whose rows.
        schemas: a regular expression.
        only_sure: not from tables without a column ``identity``, where another identity may have the same id.

    Returns:
        What was deleted.
    """
    places = []
    with connect(warehouse) as conn:
        found = [each for each in _tables(conn, people) if each.users and re.search(schemas, each.schema)]
        for each in sorted(found, key=lambda table: table.is_view):
            condition = each.rows_of(people)
            if only_sure and not (each.has_identity or people.is_only):
                continue
            if not (count := _count(conn, each, condition)):
                continue
            try:
                with conn.transaction(), _as(conn, each.owner):
                    if each.is_view:
                        conn.execute(sql.SQL("refresh materialized view {}").format(each.target))
                    else:
                        conn.execute(sql.SQL("delete from {} where {}").format(each.target, condition))
            except psycopg.errors.InsufficientPrivilege:  # who searches at the end, finds it
                continue
            places.append(Place(each.name, count))
    return places


def drop_kept(warehouse: Warehouse, schemas: str) -> list[str]:
    """Drop the tables of kept failures or rollback copies: which of their rows are whose is not always said.

    Returns:
        The tables; those of developers' schemas included.
    """
    with psycopg.connect(warehouse.conninfo()) as conn:
        tables = conn.execute(
            "select nspname, relname, pg_get_userbyid(relowner) from pg_class"
            " inner join pg_namespace on relnamespace = pg_namespace.oid where relkind = 'r' and nspname ~ %s"
            " order by 1, 2",
            [schemas],
        ).fetchall()
        for schema, table, owner in tables:
            with _as(conn, owner):
                conn.execute(sql.SQL("drop table {}").format(sql.Identifier(schema, table)))
    return [f"{schema}.{table}" for schema, table, _ in tables]


def erase_messages(warehouse: Warehouse, people: People) -> list[Place]:
    """Delete rows of Elementary's tables that quote an id, as the messages of Postgres and samples of rows do."""
    places = []
    with connect(warehouse) as conn:
        for each in _tables(conn, people):
            if not each.schema.endswith("elementary") or not each.texts or each.is_view:
                continue
            with _as(conn, each.owner):
                count = conn.execute(
                    sql.SQL("delete from {} where {}").format(each.target, _quotes(each.texts, people.users))
                ).rowcount
            if count:
                places.append(Place(each.name, count))
    return places


def _quotes(columns: Sequence[str], users: Sequence[str]) -> sql.Composed:
    """Whether a row has a long id as a word, a short one between quotes, or any as a value of a sampled row."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    conditions = [
        _equal(columns, users),
        *(sql.SQL("concat_ws(' ', {}) ~ {}").format(names, sql.Literal(pattern)) for pattern in patterns(users)),
        # JSON, in which a number has no quotes; of other texts that would be every other count
        *(
            sql.SQL("{} ~ {}").format(sql.Identifier(name), sql.Literal(rf"[:,\[] ?({any_of(users)})[],}}]"))
            for name in SAMPLES
            if name in columns
        ),
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions))


def vacuum(warehouse: Warehouse) -> None:
    """Let the space of deleted rows be written over, and take statistics anew: they hold values of columns."""
    with psycopg.connect(warehouse.conninfo(), autocommit=True) as conn:
        tables = conn.execute(
            "select nspname, relname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid"
            " where relkind in ('r', 'm') and pg_has_role(relowner, 'usage')"
            " and nspname !~ '^pg_' and nspname <> 'information_schema'"
        ).fetchall()
        for schema, table in tables:
            target = sql.Identifier(schema, table)
            with suppress(psycopg.errors.UndefinedTable):  # a run has begun since, and makes tables anew
                conn.execute(sql.SQL("vacuum (analyze) {}").format(target))
                # analyzing an empty table leaves the statistics of before
                if conn.execute(sql.SQL("select exists (select from {})").format(target)).fetchone() == (False,):
                    _forget_statistics(conn, schema, table)


def _forget_statistics(conn: psycopg.Connection, schema: str, table: str) -> None:
    """Before Postgres 18 only a superuser can."""
    if conn.info.server_version >= 180000:
        conn.execute(
            "select pg_clear_attribute_stats(schemaname::text, tablename::text, attname::text, inherited)"
            " from pg_stats where schemaname = %s and tablename = %s",
            [schema, table],
        )
    elif is_superuser(conn):
        name = sql.Identifier(schema, table).as_string(conn)
        conn.execute("delete from pg_statistic where starelid = to_regclass(%s)", [name])


@dataclass(frozen=True, slots=True)
class _Table:
    """A table and its columns: of users' ids, and of other texts."""

    schema: str
    table: str
    is_view: bool
    owner: str
    users: list[str]
    has_identity: bool
    texts: list[str]
    is_readable: bool

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def target(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)

    def rows_of(self, people: People) -> sql.Composable:
        named = _equal(self.users, people.users)
        if not self.has_identity:
            return named
        return sql.SQL("{} and identity = {}").format(named, sql.Literal(people.identity))


def _tables(conn: psycopg.Connection, people: People) -> list[_Table]:
    return [each for each in _all_tables(conn, people) if each.is_readable]


def _all_tables(conn: psycopg.Connection, people: People) -> list[_Table]:
    return [_Table(*row) for row in conn.execute(TABLES, {"names": people.columns}).fetchall()]


def _equal(columns: Sequence[str], users: Sequence[str]) -> sql.Composed:
    each = [sql.SQL("{} = any({})").format(clean(sql.Identifier(name)), sql.Literal(list(users))) for name in columns]
    return sql.SQL("({})").format(sql.SQL(" or ").join(each))


def _count(conn: psycopg.Connection, table: _Table, condition: sql.Composable) -> int:
    row = conn.execute(sql.SQL("select count(*) from {} where {}").format(table.target, condition)).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def _as(conn: psycopg.Connection, owner: str) -> Iterator[None]:
    """Act as the owner of a table, who need not have granted us anything."""
    conn.execute(sql.SQL("set local role {}").format(sql.Identifier(owner)))
    yield
    conn.execute("set local role none")

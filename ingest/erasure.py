"""Erase people from raw: their rows, those that models have not seen go yet, and their records in quarantine.

Target: every feed of an identity, in one transaction. Who was erased is remembered as a salted hash
(``raw._erasures``), so that no later load brings them back (ingest/tombstones.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from ingest import ledger
from ingest.contract import EXTRACT_DATE, Contract
from ingest.copy import connect
from ingest.ddl import check_raw
from ingest.id_texts import masked
from ingest.server import scalar
from ingest.tables import SCHEMA, columns_of, raw_table, removed_table
from ingest.tombstones import (
    FoundReject,
    as_number,
    clean,
    erase_rejects,
    has_numbers,
    hold_off_loads,
    rejects_of_people,
    tombstones,
    user_column,
)

# What stands in the ledger as the file of an erasure.
SOURCE = "(erasure)"


@dataclass(frozen=True, slots=True)
class FeedErasure:
    """What a feed has, or had, of the people: rows of raw, rows on their way out, and records in quarantine."""

    feed: str
    row_count: int
    removed_count: int
    reject_count: int


def feeds_of(contracts: Mapping[str, Contract], identity: str) -> list[Contract]:
    """The feeds whose rows are of users of an identity."""
    return [each for each in contracts.values() if each.user is not None and each.user_identity == identity]


def spellings(contracts: Sequence[Contract], user: str) -> tuple[str, ...]:
    """An id as it was given and, where a feed has integers, as raw has it then: 0042 is 42 there, and in all models."""
    number = as_number(user) if any(map(has_numbers, contracts)) else None
    return tuple(dict.fromkeys(filter(None, (user, number))))


def with_rows(conn: psycopg.Connection, contracts: Sequence[Contract], users: Sequence[str]) -> set[str]:
    """Those of the users of whom raw has rows."""
    found: set[str] = set()
    for contract in contracts:
        query = sql.SQL("select distinct {} from {} where {}")
        user = clean(user_column(contract))
        rows = conn.execute(query.format(user, raw_table(contract.feed), _of(contract, users))).fetchall()
        found.update(each for (each,) in rows)
    return found


def count(conn: psycopg.Connection, contract: Contract, users: Sequence[str]) -> FeedErasure:
    """What an erasure of these users would take out of a feed."""
    condition = _of(contract, users)
    rows, removed = (
        scalar(conn, sql.SQL("select count(*) from {} where {}").format(table, condition))
        for table in (raw_table(contract.feed), removed_table(contract.feed))
    )
    with conn.transaction():
        rejects = rejects_of_people(conn, contract, set(users).__contains__)
    return FeedErasure(contract.feed, rows, removed, len(rejects))


def retired_feeds(conn: psycopg.Connection, contracts: Mapping[str, Contract]) -> list[str]:
    """The feeds of the ledger that have no contract any more: which column of theirs is whose, nothing says."""
    query = "select distinct feed from raw._loads where not feed = any(%s) order by feed"
    return [feed for (feed,) in conn.execute(query, [list(contracts)]).fetchall()]


def count_retired(conn: psycopg.Connection, feed: str) -> dict[str, int]:
    """What there still is of a feed without contract, whoever it is of: place → rows, records or files."""
    counts = {}
    for name, table in ((f"raw.{feed}", raw_table(feed)), (f"raw._removed_{feed}", removed_table(feed))):
        if columns_of(conn, table):
            counts[name] = scalar(conn, sql.SQL("select count(*) from {}").format(table))
    for name in ("_rejects", "_cold_files"):
        query = sql.SQL("select count(*) from {} where feed = {}")
        counts[f"raw.{name} ({feed})"] = scalar(conn, query.format(sql.Identifier(SCHEMA, name), sql.Literal(feed)))
    return {name: count for name, count in counts.items() if count}


def erase(conninfo: str, contracts: Sequence[Contract], users: Sequence[str], *, run_id: str) -> list[FeedErasure]:
    """Erase users of one identity from its feeds, and remember them as erased.

    What models need to follow stays until they have: a row with the id and required columns alone, in
    ``raw._removed_<feed>``. Loads under way end first, others wait.

    Args:
        conninfo: connection string of a role that owns the raw tables.
        contracts: the feeds of the identity; at least one.
        users: their ids, without space around them, in all their ``spellings``.
        run_id: what the ledger says of who erased.

    Returns:
        What was taken out of each feed; those with nothing included.

    Raises:
        RawSchemaMismatchError: a raw table is not as its contract says.
    """
    started_at = datetime.now(UTC)
    with connect(conninfo, contracts[0]) as conn, conn.transaction():
        hold_off_loads(conn)
        for contract in contracts:
            check_raw(conn, contract)
        known = tombstones(conn, contracts[0].user_identity)
        with conn.cursor() as cursor:
            cursor.executemany(
                "insert into raw._erasures (identity, user_hash) values (%s, %s)"
                " on conflict (identity, user_hash) do update set completed_at = null",
                [(known.identity, known.hash(user)) for user in users],
            )
        return [_erase_from(conn, contract, users, started_at, run_id) for contract in contracts]


def forget_markers(conninfo: str, contracts: Sequence[Contract], users: Sequence[str]) -> None:
    """Drop what was left for models to follow: they have, or cannot be waited for."""
    with connect(conninfo, contracts[0]) as conn, conn.transaction():
        for contract in contracts:
            statement = sql.SQL("delete from {} where {}")
            conn.execute(statement.format(removed_table(contract.feed), _of(contract, users)))


def complete(conninfo: str, contracts: Sequence[Contract], users: Sequence[str]) -> None:
    """Write down that the users are found nowhere in the warehouse any more."""
    with connect(conninfo, contracts[0]) as conn:
        known = tombstones(conn, contracts[0].user_identity)
        conn.execute(
            "update raw._erasures set completed_at = now() where identity = %s and user_hash = any(%s)",
            [known.identity, [known.hash(user) for user in users]],
        )


def _erase_from(
    conn: psycopg.Connection, contract: Contract, users: Sequence[str], started_at: datetime, run_id: str
) -> FeedErasure:
    feed, condition = contract.feed, _of(contract, users)
    raw, removed = raw_table(feed), removed_table(feed)
    days = {
        *ledger.days_in(conn, contract, raw, condition),
        *ledger.days_in(conn, contract, removed, condition),
    }
    load_id = ledger.next_load_id(conn)
    _mark(conn, contract, condition, load_id)
    gone: dict[int, int] = dict(
        conn.execute(
            sql.SQL(
                "with gone as (delete from {} where {} returning _load_id)"
                " select _load_id, count(*) from gone group by _load_id"
            ).format(raw, condition)
        ).fetchall()
    )
    removed_count = conn.execute(
        sql.SQL("delete from {} where {} and _load_id <> {}").format(removed, condition, sql.Literal(load_id))
    ).rowcount
    _count_rows(conn, gone)
    found = erase_rejects(conn, rejects_of_people(conn, contract, set(users).__contains__))
    _count_rejects(conn, found)
    _mask_errors(conn, feed, users)
    if days:
        ledger.record_changed_days(conn, feed, days, load_id)
        ledger.record_removal(conn, load_id, ledger.Entry(feed, SOURCE, None, 0, started_at, run_id))
        # the rows that it left for models to follow are its own
        conn.execute("update raw._loads set removed_by = load_id where load_id = %s", [load_id])
    return FeedErasure(feed, sum(gone.values()), removed_count, len(found))


def _mark(conn: psycopg.Connection, contract: Contract, condition: sql.Composable, load_id: int) -> None:
    """Leave a row for each spelling of a user, of what the table requires and nothing else."""
    required = [column.name for column in contract.columns if not column.nullable]
    required += [EXTRACT_DATE] if contract.has_extract_date else []
    names = list(dict.fromkeys([str(contract.user), *required]))
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    conn.execute(
        sql.SQL(
            "insert into {removed} ({columns}, _load_id) select distinct on ({user}) {columns}, {load_id}"
            " from (select {columns} from {raw} where {condition}"
            " union all select {columns} from {removed} where {condition}) as theirs"
        ).format(
            **{"removed": removed_table(contract.feed), "raw": raw_table(contract.feed), "columns": columns},
            **{"user": user_column(contract), "load_id": sql.Literal(load_id), "condition": condition},
        )
    )


def _of(contract: Contract, users: Sequence[str]) -> sql.Composed:
    return sql.SQL("{} = any({})").format(clean(user_column(contract)), sql.Literal(list(users)))


def _count_rows(conn: psycopg.Connection, gone: Mapping[int, int]) -> None:
    """Count rows that went as erased: for their load, and where that is a replay, for the load it is of."""
    for load_id, row_count in gone.items():
        conn.execute(
            "update raw._loads set loaded_count = loaded_count - %s, erased_count = erased_count + %s"
            " where load_id = %s or load_id = (select replay_of from raw._loads where load_id = %s)",
            [row_count, row_count, load_id, load_id],
        )


def _count_rejects(conn: psycopg.Connection, found: Sequence[FoundReject]) -> None:
    for load_id, reject_count in Counter(each.load_id for each in found if each.is_waiting).items():
        conn.execute(
            "update raw._loads set rejected_count = rejected_count - %s, erased_count = erased_count + %s"
            " where load_id = %s",
            [reject_count, reject_count, load_id],
        )


def _mask_errors(conn: psycopg.Connection, feed: str, users: Sequence[str]) -> None:
    """Why a file was refused may quote it."""
    query = "select load_id, error from raw._loads where feed = %s and error is not null"
    for load_id, error in conn.execute(query, [feed]).fetchall():
        if (without := masked(error, users)) != error:
            conn.execute("update raw._loads set error = %s where load_id = %s", [without, load_id])

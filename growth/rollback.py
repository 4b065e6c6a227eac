"""Take the last publication back: schema mart_previous → schema mart, all tables in one transaction.

mart.publications says which marts the last publication changed; mart_previous has their rows of before, kept once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

import psycopg

from growth.mart_tables import PublishRefused, Written, add_columns, fit
from growth.publish import analyze, forget_previous, lock_publications, refuse_breaking, write_marts
from growth.settings import Warehouse

# a publication that changed no row leaves nothing to go back from
LAST = """
select publication_id, is_rollback, changed_counts from mart.publications as last
where is_rollback or exists (select from jsonb_each(changed_counts) as changes where changes.value::bigint > 0)
order by publication_id desc limit 1
"""
BEFORE = """
select publication_id, as_of_date, rules_version, row_counts from mart.publications
where publication_id < %s order by publication_id desc limit 1
"""
RECORD = """
insert into mart.publications
(run_id, as_of_date, rules_version, row_counts, changed_counts, is_rollback, restored_publication_id)
select
    %s,
    %s,
    %s,
    (
        select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(row_counts)
        where to_regclass('mart.' || quote_ident(key)) is not null -- else taken out since
    ) || %s,
    %s,
    true,
    %s
from mart.publications order by publication_id desc limit 1
"""
INSTRUCTIONS = """\
Nothing was changed. A forced publication gave these columns their present types; `growth publish --rollback --force` \
takes that back, too.\
"""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What was restored; ``left`` are the marts that have no earlier rows and stay as they are."""

    restored_publication_id: int
    as_of_date: date | None
    left: list[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """The publication to go back to, and the marts whose rows of then are kept."""

    publication_id: int
    as_of_date: date | None
    rules_version: str
    marts: list[str]
    left: list[str]


def rollback(warehouse: Warehouse, run_id: str, *, force: bool = False) -> Rollback:
    """Bring back the marts as they were before the last publication that changed a row, or change nothing.

    A column that was added since becomes null, one that was removed since comes back. A mart that was dropped since
    stays out.

    Args:
        warehouse: where.
        run_id: who does it.
        force: also where the last publication added a mart (it stays) or gave a column another type (it gets its
            old one back, unless a view uses it).

    Raises:
        PublishRefused: nothing is kept, or what is kept does not fit and that was not forced.
        psycopg.OperationalError: connection lost, or a lock was not released in time.
    """
    with psycopg.connect(warehouse.conninfo("transform"), autocommit=True) as conn:
        for mart in _kept(conn, force=force).marts:
            add_columns(conn, fit(conn, "mart_previous", mart, may_lack=True))
        with conn.transaction():
            lock_publications(conn)
            kept = _kept(conn, force=force)  # as it is now that nobody else publishes
            fits = [fit(conn, "mart_previous", mart, may_lack=True) for mart in kept.marts]
            refuse_breaking(fits, INSTRUCTIONS, force=force)
            written, _ = write_marts(conn, "mart_previous", fits, keep=False)
            result = _record(conn, run_id, kept, written)
            forget_previous(conn)
        analyze(conn, written)
        return result


def _kept(conn: psycopg.Connection, *, force: bool) -> Kept:
    last = conn.execute(LAST).fetchone()
    if last is None:
        raise PublishRefused("Nothing to roll back: no publication has kept the rows of the one before it.")
    last_id, is_rollback, changed_counts = last
    if is_rollback:
        raise PublishRefused(
            f"Publication {last_id} is a rollback already, and one publication is all that is kept. "
            "`growth publish` publishes the candidates again."
        )
    before = conn.execute(BEFORE, (last_id,)).fetchone()
    if before is None:
        raise PublishRefused(f"Nothing to roll back to: publication {last_id} is the first.")
    publication_id, as_of_date, rules_version, row_counts = before
    published, tables = _tables(conn, "mart"), _tables(conn, "mart_previous")
    changed = [mart for mart, count in changed_counts.items() if count and mart in published]  # or taken out since
    marts = [mart for mart in changed if mart in tables]
    left = [mart for mart in changed if mart not in tables]
    lost = [f"mart_previous.{mart}" for mart in left if mart in row_counts]
    if lost:
        raise PublishRefused(f"Nothing was changed: {', '.join(lost)} was dropped, so that there is no way back.")
    if left and not force:
        raise PublishRefused(
            f"Nothing was changed: publication {last_id} was the first with {', '.join(f'mart.{m}' for m in left)}, "
            "so that no earlier rows exist. `growth publish --rollback --force` restores the other marts beside it."
        )
    return Kept(publication_id, as_of_date, rules_version, marts, left)


def _tables(conn: psycopg.Connection, schema: str) -> set[str]:
    query = "select relname from pg_class where relnamespace = %s::regnamespace and relkind = 'r'"
    return {name for (name,) in conn.execute(query, (schema,))}


def _record(conn: psycopg.Connection, run_id: str, kept: Kept, written: dict[str, Written]) -> Rollback:
    row_counts = {mart: result.row_count for mart, result in written.items()}
    changed_counts = {mart: result.changed_count for mart, result in written.items()}
    conn.execute(
        RECORD,
        (
            run_id,
            kept.as_of_date,
            kept.rules_version,
            json.dumps(row_counts),
            json.dumps(changed_counts),
            kept.publication_id,
        ),
    )
    return Rollback(kept.publication_id, kept.as_of_date, kept.left)

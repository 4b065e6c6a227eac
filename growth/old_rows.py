"""Let old rows leave raw at the end of a run, and let people hear of it when they cannot.

Target: the check ``old_rows_leave_raw`` in ``mart.gate_results``, of a gate of its own that stops nothing; which feeds
and why, in schema dq_failures. So it is told and shown as any check that warns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from growth import ageing, gate_results
from growth.dbt import CheckResult, DbtResult
from growth.gate_names import AGEING
from growth.settings import Warehouse, feeds_folder
from ingest.contract_files import load_contracts

CHECK = "old_rows_leave_raw"
KEPT_IN = sql.Identifier("dq_failures", CHECK)
# The comment is what dq_failure_days goes by (macro keep_failures).
KEEP = """
create table {table} (feed text, load_count bigint, why_in_raw text);
comment on table {table} is {comment}
"""
NEWEST = "select status from mart.gate_results where gate = %s order by checked_at desc limit 1"


def leave(warehouse: Warehouse, run_id: str, say: Callable[[str], None]) -> None:
    """Move out what is old, and write down what had to stay; the run has published, and does not fail by this.

    Args:
        warehouse: where.
        run_id: the run that published.
        say: told what is done.
    """
    contracts, begin = load_contracts(feeds_folder()), time.monotonic()
    try:
        stays = ageing.age(warehouse, say, contracts)
    except psycopg.Error as error:
        say(f"old rows stay in raw: {error}")
        stays = [ageing.Stay("all feeds", 0, str(error).partition("\n")[0])]
    try:
        with psycopg.connect(warehouse.conninfo("transform")) as conn:
            if not (stays or _warned(conn) or any(contract.raw_days for contract in contracts.values())):
                return
            _keep(conn, stays)
        status, kept_in = ("warn", f"dq_failures.{CHECK}") if stays else ("pass", "")
        seconds = time.monotonic() - begin
        check = CheckResult(CHECK, "singular", "warning", "warn", status, len(stays), kept_in, seconds)
        gate_results.record(warehouse, run_id, AGEING, DbtResult(True, 1, (), "", (check,)))
    except psycopg.Error as error:
        say(f"this could not be written down: {error}")


def standing(conn: psycopg.Connection) -> list[str]:
    """A line for each feed whose old rows could not leave raw when that was tried last."""
    if not _warned(conn):
        return []
    if conn.execute("select to_regclass(%s)", [KEPT_IN.as_string(conn)]).fetchone() == (None,):
        return ["Old rows stay in raw: the log of publish_marts says why."]
    rows = conn.execute(sql.SQL("select feed, why_in_raw from {} order by feed").format(KEPT_IN))
    return [f"Old rows of {feed} stay in raw: {reason}" for feed, reason in rows]


def _warned(conn: psycopg.Connection) -> bool:
    if conn.execute("select to_regclass('mart.gate_results')").fetchone() == (None,):
        return False
    return conn.execute(NEWEST, [AGEING]).fetchone() == ("warn",)


def _keep(conn: psycopg.Connection, stays: Sequence[ageing.Stay]) -> None:
    conn.execute("set local lock_timeout = '10s'")  # somebody may be reading it
    conn.execute(sql.SQL("drop table if exists {}").format(KEPT_IN))
    if not stays:
        return
    conn.execute("create schema if not exists dq_failures")
    comment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}Z {CHECK}"
    conn.execute(sql.SQL(KEEP).format(table=KEPT_IN, comment=sql.Literal(comment)))
    with conn.cursor() as cursor:
        rows = [(stay.feed, stay.load_count, stay.reason) for stay in stays]
        cursor.executemany(sql.SQL("insert into {} values (%s, %s, %s)").format(KEPT_IN), rows)

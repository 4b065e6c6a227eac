"""What checks that stop nothing found, as alerts: those that warned, and feeds that are late.

Source: the tests with the tag freshness, and what the gates kept in schema dq_failures. Shared by DAG and command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import psycopg
from psycopg import sql

from growth import dbt
from growth.alerts import ledger
from growth.alerts.causes import checks_warned
from growth.alerts.examples import first_examples
from growth.alerts.message import Alert, FailedCheck
from growth.alerts.sending import send
from growth.checks import read_checks
from growth.settings import Warehouse, feeds_folder, growth_home
from ingest.contract import load_contracts
from ingest.errors import WarehouseUnreachable

DAG_ID = "data_quality"
WARNINGS, LATE_FEEDS = f"{DAG_ID}.warnings", f"{DAG_ID}.freshness"
# a table stands there from the run in which its test failed to the one in which it passes
KEPT = r"""
select relname, substring(obj_description(oid, 'pg_class') from '^\S+Z (\S+)$')
from pg_class
where relnamespace = to_regnamespace('dq_failures') and relkind = 'r'
"""


def tell_warnings(warehouse: Warehouse, run_id: str = "") -> list[FailedCheck]:
    """Tell which checks of the gates warned when they were last run.

    Returns:
        All of them, told before or not.
    """
    manifest = growth_home() / "dbt" / "target-prod" / "manifest.json"
    known = read_checks(json.loads(manifest.read_text(encoding="utf-8"))) if manifest.exists() else []
    gates = {check.name: check.gate for check in known if check.severity == "warn" and check.gate != "none"}
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        kept = [(table, name) for table, name in conn.execute(KEPT) if name in gates]
        found = [
            FailedCheck(name, f"gate_{gates[name]}", _count(conn, table), f"dq_failures.{table}")
            for table, name in kept
        ]
    checks = _with_examples(warehouse, found)
    _tell(warehouse, checks_warned("warning", WARNINGS, "checks warned", checks, DAG_ID, run_id))
    return checks


def tell_late_feeds(warehouse: Warehouse, run_id: str = "") -> list[FailedCheck]:
    """Run the tests with the tag freshness, and tell which feeds are late.

    Returns:
        All that are, told before or not.

    Raises:
        WarehouseUnreachable: connection lost.
        RuntimeError: the tests could not run.
    """
    # a folder of its own: a run of growth_daily may be writing the other one
    target = growth_home() / "dbt" / "target-freshness"
    result = dbt.invoke(["test", "--quiet", "--select", "tag:freshness", "--target-path", str(target)], warehouse)
    if not result.succeeded:
        problem = "\n".join([result.error, *(f"{each.name}: {each.message}" for each in result.failures)]).strip()
        raise WarehouseUnreachable(problem) if result.lost_connection else RuntimeError(problem)
    checks = as_checks(warehouse, "freshness", result.failures)
    _tell(warehouse, checks_warned("late", LATE_FEEDS, "feeds are late", checks, DAG_ID, run_id))
    return checks


def as_checks(warehouse: Warehouse, gate: str, failures: Iterable[dbt.NodeFailure]) -> list[FailedCheck]:
    """What dbt found, with the first rows of each."""
    return _with_examples(warehouse, [FailedCheck(each.name, gate, each.row_count, each.kept_in) for each in failures])


def _count(conn: psycopg.Connection, table: str) -> int | None:
    row = conn.execute(sql.SQL("select count(*) from {}").format(sql.Identifier("dq_failures", table))).fetchone()
    return row[0] if row else None


def _with_examples(warehouse: Warehouse, checks: list[FailedCheck]) -> list[FailedCheck]:
    if not checks:
        return []  # no contract is read for nothing: a broken one may be what the alert is about
    contracts = load_contracts(feeds_folder()).values()
    return [replace(check, examples=first_examples(warehouse, check.kept_in, contracts)) for check in checks]


def _tell(warehouse: Warehouse, alert: Alert) -> None:
    """Forget what does not stand any more, and tell what is new."""
    ledger.forget(warehouse, [alert.scope], alert.causes)
    if alert.causes:
        send(warehouse, alert)

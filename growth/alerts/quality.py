"""What checks found, as alerts: those that stopped a run, those that warned, and feeds that are late.

Source: mart.gate_results, dq_failures and the tests with the tag freshness. Shared by the DAGs and the command line.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from growth import dbt, gate_results, invocations, late_loads
from growth.alerts import ledger
from growth.alerts.causes import checks_warned
from growth.alerts.examples import first_examples
from growth.alerts.message import Alert, FailedCheck
from growth.alerts.sending import send
from growth.gate_names import FRESHNESS, STOP_NOTHING
from growth.gate_results import GateResult
from growth.settings import Warehouse, feeds_folder
from ingest.contract_files import load_contracts
from ingest.errors import WarehouseUnreachable

DAG_ID = "data_quality"
WARNINGS, LATE_FEEDS = f"{DAG_ID}.warnings", f"{DAG_ID}.freshness"


def failed_checks(warehouse: Warehouse, run_id: str, task_id: str) -> list[FailedCheck]:
    """The checks that made a task fail; none where no gate is in it, or where the warehouse does not answer.

    Gates are in tasks of their own, and in run_dwh, which has two judge once more what came late.
    """
    if task_id == "run_dwh":
        layers = late_loads.GATES
    elif task_id.startswith("gate_"):
        layers = (task_id.removeprefix("gate_"),)
    else:
        return []
    try:
        results = gate_results.of_run(warehouse, run_id)
    except psycopg.Error:
        return []
    failed = [each for each in results if each.gate in layers and each.status in ("fail", "error")]
    return _checks(warehouse, _found(failed))


def tell_warnings(warehouse: Warehouse, run_id: str) -> list[FailedCheck]:
    """Tell which checks warned when their gate was last run.

    Returns:
        All of them, told before or not.
    """
    checks = _checks(warehouse, _found(gate_results.warned(warehouse)))
    _tell(warehouse, checks_warned("warning", WARNINGS, "checks warned", checks, DAG_ID, run_id))
    return checks


def tell_late_feeds(warehouse: Warehouse, run_id: str) -> list[FailedCheck]:
    """Run the tests with the tag freshness, write down what they found, and tell which feeds are late.

    Returns:
        All that are, told before or not.

    Raises:
        WarehouseUnreachable, psycopg.OperationalError: no connection, or lost.
        RuntimeError: the tests could not run.
    """
    result = dbt.check_freshness(warehouse)
    if not result.succeeded:
        problem = "\n".join([result.error, *(f"{each.name}: {each.message}" for each in result.failures)]).strip()
        raise WarehouseUnreachable(problem) if result.lost_connection else RuntimeError(problem)
    gate_results.record(warehouse, run_id, FRESHNESS, result)
    invocations.record(warehouse, run_id, "tell_late_feeds", result)
    late = [(each.name, FRESHNESS, each.row_count, each.kept_in) for each in result.failures]
    checks = _checks(warehouse, late)
    _tell(warehouse, checks_warned("late", LATE_FEEDS, "feeds are late", checks, DAG_ID, run_id))
    return checks


def _found(results: Iterable[GateResult]) -> list[tuple[str, str, int | None, str]]:
    return [(each.check_name, each.gate, each.failing_row_count, each.kept_in) for each in results]


def _checks(warehouse: Warehouse, found: Iterable[tuple[str, str, int | None, str]]) -> list[FailedCheck]:
    """Name, gate, failing rows and the table of each, with the first of those rows."""
    contracts = None
    checks = []
    for name, gate, row_count, kept_in in found:
        # read only now: a broken contract may be what another alert is about
        contracts = contracts or list(load_contracts(feeds_folder()).values())
        shown_gate = gate if gate in STOP_NOTHING else f"gate_{gate}"
        examples = first_examples(warehouse, kept_in, contracts)
        checks.append(FailedCheck(name, shown_gate, row_count, kept_in, examples))
    return checks


def _tell(warehouse: Warehouse, alert: Alert) -> None:
    """Forget what does not stand any more, and tell what is new."""
    ledger.forget(warehouse, [alert.scope], alert.causes)
    if alert.causes:
        send(warehouse, alert)

"""The steps of a run as Airflow tasks: load, gate, build, publish.

The work is done by the packages ingest and growth, imported inside the tasks: the DAG processor reads this file often
and needs none of them. Here stands what Airflow needs to know: which failures another try can mend.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Connection, PokeReturnValue, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from growth.settings import Warehouse

log = logging.getLogger(__name__)

# What data_quality waits for; publishing updates it.
MARTS = Asset("growth_marts")

# Only a lost connection is retried (see fail_for_good): 2 + 4 + 8 s, so a short restart of Postgres goes unnoticed.
RETRY_LOST_CONNECTIONS = {
    "retries": 3,
    "retry_delay": timedelta(seconds=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(seconds=10),
}


class ConnectionLost(Exception):
    """The warehouse could not be reached: the one failure that another try can mend."""


# Queues of the workers (docs/workers.md); without workers they mean nothing. Tasks of DBT_QUEUE, the default of both
# DAGs, share a disk; those of LOAD_QUEUE need the landing folder only.
LOAD_QUEUE = "load"
DBT_QUEUE = "dbt"

# How often a run that waits for another one looks again.
TURN_SECONDS = 20
IS_TEST_RUN = sys.argv[1:3] == ["dags", "test"]


def fail_for_good(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a lost connection be retried; make every other failure final."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        import psycopg

        from growth.masking import mask_chain
        from ingest.errors import WarehouseUnreachable

        try:
            return function(*args, **kwargs)
        except (psycopg.OperationalError, WarehouseUnreachable, ConnectionLost) as error:
            mask_chain(error)
            raise
        except (AirflowFailException, AirflowSkipException):
            raise
        except Exception as error:
            mask_chain(error)
            log.exception("Not retried: only a lost connection is.")
            raise AirflowFailException(str(error)) from error

    return run


def load_feeds() -> Any:
    """A mapped task, one instance a feed, that loads what has landed."""
    return load_feed.expand(feed=select_feeds())


@task.sensor(mode="reschedule", poke_interval=TURN_SECONDS, queue=LOAD_QUEUE)
@fail_for_good
def select_feeds() -> PokeReturnValue:
    """Prepare the warehouse, wait until no other run is going on, and name the feeds to load.

    Those of the run's params, else those of its domains, else all. Never none.
    """
    from growth.load import warnings
    from growth.settings import feeds_folder
    from growth.warehouse import initialise
    from ingest.contract_files import domains, load_contracts
    from ingest.names import unknown_names

    contracts = load_contracts(feeds_folder())
    wanted_domains = _domains()
    wanted = get_current_context()["params"]["feeds"] or [
        feed for feed, contract in contracts.items() if not wanted_domains or contract.domain in wanted_domains
    ]
    fault = unknown_names("domain", wanted_domains, domains(contracts)) or unknown_names("feed", wanted, contracts)
    if fault:
        raise AirflowFailException(f"In the run's params: {fault}.")
    for change in initialise(warehouse(), contracts):
        log.info(change)
    for warning in warnings(contracts):
        log.warning(warning)
    other = _take_turn()
    if other:
        log.info("Waiting for the end of the run %s", other)
        return PokeReturnValue(is_done=False)
    _prepare_elementary()
    return PokeReturnValue(is_done=True, xcom_value=list(wanted))


@task(map_index_template="{{ feed_name }}", queue=LOAD_QUEUE)
@fail_for_good
def load_feed(feed: str) -> None:
    """Load the new files of a feed into raw; files that are refused fail the task, the others stay."""
    from growth.load import load

    context = get_current_context()
    context["feed_name"] = feed  # type: ignore[typeddict-unknown-key]
    results = load(warehouse(), [feed], context["run_id"], log.info)
    for result in results:  # what leads from this log to mart.load_history: docs/runbooks/failed_task.md
        if result.status == "skipped":  # another run's load
            continue
        log.info(
            "run_id=%s task_id=load_feed feed=%s load_id=%s status=%s source_file=%s",
            *(context["run_id"], feed, result.load_id or "-", result.status, result.source_file),
        )
    refused = [result for result in results if result.status == "refused"]
    if refused:
        raise AirflowFailException("\n".join(f"{result.source_file}: {result.error}" for result in refused))


def gate(layer: str) -> Any:
    """A task that runs the tests of a layer and fails when one of severity error fails."""

    @task(task_id=f"gate_{layer}")
    @fail_for_good
    def run_gate() -> None:
        from growth.gate_results import run_gate as run
        from growth.late_loads import see

        _require_turn()
        run_id = get_current_context()["run_id"]
        if layer == "raw":
            see(warehouse(), run_id)
        result = run(layer, warehouse(), run_id, _domains())
        _report(f"gate_{layer}", result)
        log.info("gate %s: %s tests passed or only warned", layer, result.node_count)

    return run_gate()


def run_layer(layer: str) -> Any:
    """A task that builds every model of a layer."""

    @task(task_id=f"run_{layer}")
    @fail_for_good
    def build() -> None:
        from growth import dbt, invocations
        from growth.late_loads import build_judged

        _require_turn()
        run_id, command = get_current_context()["run_id"], f"run_{layer}"
        how = {"domains": _domains(), "full_refresh": bool(get_current_context()["params"]["full_refresh"])}
        if layer == "dwh":
            command, result = build_judged(warehouse(), run_id, log.info, **how)
        else:
            result = dbt.run_layer(layer, warehouse(), **how)
        invocations.record(warehouse(), run_id, command, result)
        _report(command, result)

    return build()


@task(outlets=[MARTS])
@fail_for_good
def publish_marts() -> dict[str, int]:
    """Write the tested candidates over the published marts, in one transaction; returns rows per mart.

    Afterwards raw is rid of what no model waits for any more, and the home of old logs.
    """
    from growth.dbt import mart_names
    from growth.publish import publish

    _require_turn()
    run_id = get_current_context()["run_id"]
    publication = publish(warehouse(), run_id, mart_names(_domains()))
    log.info("publication %s: %s", publication.publication_id, publication.row_counts)
    log.info("rows changed: %s", publication.changed_counts)
    _tidy_up(run_id)
    return publication.row_counts


def _tidy_up(run_id: str) -> None:
    """What follows a publication: whoever waits for new marts is to hear of them, whatever becomes of this."""
    from growth import old_rows, run_logs
    from growth.cleanup import forget_removed_rows
    from growth.masking import mask_chain
    from growth.status import silent_domains

    def name_silent_domains() -> None:
        log.info("domains without data: %s", ", ".join(silent_domains(warehouse())) or "none")

    for what, step in (
        ("which domains have no data is not known", name_silent_domains),
        ("rows that loads took out stay beside raw", lambda: forget_removed_rows(warehouse())),
        ("old rows stay in raw", lambda: old_rows.leave(warehouse(), run_id, log.info)),
        ("logs of old runs stay", lambda: log.info("logs of old runs deleted: %s", len(run_logs.delete_old()))),
    ):
        try:
            step()
        except Exception as error:
            mask_chain(error)
            log.exception("The marts are published; but %s until the next publication.", what)


def warehouse() -> Warehouse:
    """The warehouse that the Airflow connection of that name points to.

    Passwords come from there, too (its own, and those of other roles in its extra), else from the environment.
    """
    from growth.settings import Warehouse

    connection = Connection.get("warehouse")
    at = Warehouse.at(connection.host or "127.0.0.1", connection.port or 5432)
    given = {role: connection.extra_dejson.get(f"{role}_password") for role in at.passwords}
    if connection.login in given:
        given[connection.login] = connection.password
    passwords = {**at.passwords, **{role: password for role, password in given.items() if password}}
    return replace(at, database=connection.schema or at.database, passwords=passwords)


def _domains() -> list[str]:
    """The domains that the run is for; empty for all."""
    return list(get_current_context()["params"]["domains"])


def _take_turn() -> str | None:
    """The run that this one has to wait for, if there is one."""
    from growth.turns import take_turn

    context = get_current_context()
    ti, dag_id = context["ti"], context["dag"].dag_id

    def is_going_on(run_id: str) -> bool:
        # A test run has the home for itself: what a stopped scheduler left as running waits for the next one.
        return not IS_TEST_RUN and ti.get_dr_count(dag_id, run_ids=[run_id], states=["running"]) > 0

    return take_turn(warehouse(), context["run_id"], is_going_on)


def _require_turn() -> None:
    """Nothing is judged, built or published by a task that was cleared when another run has built since."""
    from growth.turns import turn_of

    run_id = get_current_context()["run_id"]
    if (holder := turn_of(warehouse())) != run_id:
        raise AirflowFailException(
            f"The run {holder} has built since: what there is now is not what this run made. Clear all of its tasks, or"
            " trigger a new run."
        )


def _prepare_elementary() -> None:
    """Make Elementary's tables where its package is in use; a run does not depend on it."""
    import psycopg

    from growth import elementary, packages
    from growth.masking import mask_chain

    if not packages.elementary_version():
        log.warning(packages.ABSENT)
        return
    try:
        if elementary.prepare(warehouse()):
            log.info("Elementary's tables were made.")
    except (elementary.ReportFailed, psycopg.Error) as error:
        mask_chain(error)
        log.exception("Elementary's tables could not be made; its report will lack this run.")


def _report(command: str, result: Any) -> None:
    """Log what dbt called a command, such as gate_raw or run_dwh, its failures and warnings; raise when it failed."""
    from growth import dbt, gate_texts, invocations

    is_gate, layer = command.startswith("gate_"), command.partition("_")[2]
    what = f"{'gate' if is_gate else 'layer'} {layer}"
    log.info(invocations.describe(get_current_context()["run_id"], command, result))
    # with the SQL of checks, which is for this log: errors are also what `growth run` prints
    failed_at = logging.INFO if is_gate else logging.ERROR
    for failure in result.failures:
        log.log(logging.WARNING if failure.status == "warn" else failed_at, dbt.describe(failure))
    if result.lost_connection:
        raise ConnectionLost(f"{what}: the warehouse could not be reached.")
    if not result.succeeded:
        if is_gate:
            log.error(gate_texts.failed(warehouse(), layer, result))
        raise AirflowFailException(f"{what} failed: {result.reason}.")

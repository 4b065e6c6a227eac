"""The DAGs import, are the ones we know, and keep the promises of their wiring."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"
LAYERS = ("staging", "dwh", "mart")


@pytest.fixture(scope="module")
def dag_bag(tmp_path_factory: pytest.TempPathFactory) -> DagBag:
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    sys.path.insert(0, str(DAGS))  # as Airflow does for its DAGs folder
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS)


@pytest.fixture
def daily(dag_bag: DagBag) -> Any:
    return dag_bag.dags["growth_daily"]


def test_every_dag_imports_and_there_are_no_others(dag_bag: DagBag) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == ["growth_daily"]


def test_every_dag_is_documented_tagged_and_written_by_one_run_at_a_time(dag_bag: DagBag) -> None:
    for dag in dag_bag.dags.values():
        assert dag.doc_md
        assert dag.tags
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_runs_daily_at_four_utc_with_the_documented_params(daily: Any) -> None:
    assert daily.schedule == "0 4 * * *"
    assert str(daily.timezone) == "UTC"
    assert {name: daily.params[name] for name in daily.params} == {"full_refresh": False, "feeds": []}


def test_each_step_waits_for_the_gate_before_it(daily: Any) -> None:
    order = ["select_feeds", "load_feed", "gate_raw"]
    order += [task for layer in LAYERS for task in (f"run_{layer}", f"gate_{layer}")]
    order += ["publish_marts", "report"]
    assert sorted(daily.task_ids) == sorted(order)
    for before, after in itertools.pairwise(order):
        assert daily.get_task(after).upstream_task_ids == {before}


def test_nothing_runs_after_a_failure_or_a_skip(daily: Any) -> None:
    assert {task.trigger_rule.value for task in daily.tasks if not task.is_teardown} == {"all_success"}


def test_the_report_follows_every_run_and_changes_none(daily: Any) -> None:
    [report] = [task for task in daily.tasks if task.is_teardown]
    assert report.task_id == "report"
    assert report.trigger_rule.value == "all_done_setup_success"
    assert report.on_failure_fail_dagrun is False


def test_retries_take_half_a_minute_at_most(daily: Any) -> None:
    for task in daily.tasks:
        delays = [
            min(
                task.retry_delay.total_seconds() * task.retry_exponential_backoff**number,
                task.max_retry_delay.total_seconds(),
            )
            for number in range(task.retries)
        ]
        assert task.retries > 0
        assert sum(delays) <= 30


class TestWhatIsRetried:
    @pytest.fixture
    def steps(self, dag_bag: DagBag) -> Any:
        import growth_tasks.steps

        return growth_tasks.steps

    def test_a_lost_connection_is(self, steps: Any) -> None:
        import psycopg

        def lose() -> None:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        with pytest.raises(psycopg.OperationalError):
            steps.fail_for_good(lose)()

    def test_anything_else_is_not(self, steps: Any) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        def fail() -> None:
            raise ValueError("broken")

        with pytest.raises(AirflowFailException, match="broken"):
            steps.fail_for_good(fail)()

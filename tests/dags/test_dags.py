"""The DAGs import, are the ones we know, and keep the promises of their wiring."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.receivers import webhook

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"
LAYERS = ("staging", "dwh", "mart")


@pytest.fixture(scope="module")
def dag_bag(tmp_path_factory: pytest.TempPathFactory) -> DagBag:
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS)


@pytest.fixture
def daily(dag_bag: DagBag) -> Any:
    return dag_bag.dags["growth_daily"]


def test_every_dag_imports_and_there_are_no_others(dag_bag: DagBag) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == ["data_quality", "growth_daily"]
    read = [stat.file.lstrip("/") for stat in dag_bag.dagbag_stats]
    assert sorted(read) == ["data_quality.py", "growth_daily.py"], "what they import is no DAG file"


def test_every_dag_is_documented_tagged_and_written_by_one_run_at_a_time(dag_bag: DagBag) -> None:
    for dag in dag_bag.dags.values():
        assert dag.doc_md
        assert dag.tags
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_runs_daily_at_four_utc_with_the_documented_params(daily: Any) -> None:
    assert daily.schedule == "0 4 * * *"
    assert str(daily.timezone) == "UTC"
    assert {name: daily.params[name] for name in daily.params} == {"full_refresh": False, "feeds": [], "domains": []}


def test_each_step_waits_for_the_gate_before_it(daily: Any) -> None:
    order = ["select_feeds", "load_feed", "gate_raw"]
    order += [task for layer in LAYERS for task in (f"run_{layer}", f"gate_{layer}")]
    order += ["publish_marts", "report"]
    assert sorted(daily.task_ids) == sorted(order)
    for before, after in itertools.pairwise(order):
        assert daily.get_task(after).upstream_task_ids == {before}


def test_a_run_waits_for_its_turn_without_holding_a_worker(daily: Any) -> None:
    first = daily.get_task("select_feeds")
    assert first.upstream_task_ids == set()
    assert first.reschedule


def test_tasks_go_to_the_queue_whose_workers_have_what_they_need(dag_bag: DagBag) -> None:
    queues = {task.task_id: task.queue for dag in dag_bag.dags.values() for task in dag.tasks}
    assert {task_id for task_id, queue in queues.items() if queue == "load"} == {"select_feeds", "load_feed"}
    assert set(queues.values()) == {"load", "dbt"}


def test_celery_and_its_provider_fit_together() -> None:
    from airflow.executors.base_executor import BaseExecutor
    from airflow.providers.celery.executors.celery_executor import CeleryExecutor

    assert issubclass(CeleryExecutor, BaseExecutor)


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


def test_every_task_tells_when_it_failed_and_forgets_when_it_did_not(dag_bag: DagBag) -> None:
    from growth_tasks.alerts import TellFailure, forget_failure

    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert [type(callback) for callback in task.on_failure_callback] == [TellFailure], task.task_id
            assert list(task.on_success_callback) == [forget_failure], task.task_id


def test_data_quality_runs_after_a_publication_and_each_morning(dag_bag: DagBag, daily: Any) -> None:
    quality = dag_bag.dags["data_quality"]
    [published] = daily.get_task("publish_marts").outlets
    assert list(quality.timetable.asset_condition.objects) == [published]
    assert quality.timetable.timetable.expression == "0 7 * * *"
    assert {task.task_id: task.upstream_task_ids for task in quality.tasks} == {
        "tell_late_feeds": set(),
        "tell_warnings": set(),
    }


def test_the_connection_and_its_passwords_may_come_from_a_secrets_backend(
    dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from growth_tasks.steps import warehouse

    file = tmp_path / "connections.json"
    connection = {"conn_type": "postgres", "host": "in-a-vault", "port": 5439, "schema": "marts", "login": "transform"}
    passwords = {"password": "of transform", "extra": {"ingest_password": "of ingest"}}
    file.write_text(json.dumps({"warehouse": {**connection, **passwords}}))
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"connections_file_path": str(file)}))
    monkeypatch.setenv("WAREHOUSE_ANALYST_PASSWORD", "of analyst")
    found = warehouse()
    assert (found.host, found.port, found.database) == ("in-a-vault", 5439, "marts")
    assert found.passwords == {
        "growth": "growth",
        "ingest": "of ingest",
        "transform": "of transform",
        "analyst": "of analyst",
    }


class TestLateRuns:
    def test_a_run_is_late_two_hours_after_it_was_queued(self, daily: Any) -> None:
        [deadline] = daily.deadline if isinstance(daily.deadline, list) else [daily.deadline]
        assert deadline.reference.serialize_reference() == {"reference_type": "DagRunQueuedAtDeadline"}
        assert deadline.interval == timedelta(hours=2)
        assert deadline.callback.path == "growth_tasks.alerts.tell_late"

    def test_airflow_cannot_end_a_test_run_with_a_deadline_so_it_has_none(
        self, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from growth_tasks.alerts import late_alert

        monkeypatch.setattr("growth_tasks.alerts.IS_TEST_RUN", True)
        assert late_alert() is None

    @pytest.mark.parametrize(
        ("state", "kind", "told"),
        [
            *(("running", "manual", 1), ("queued", "scheduled", 1), ("failed", "manual", 0), ("success", "manual", 0)),
            ("running", "backfill", 0),
        ],
    )
    def test_the_callback_tells_of_a_run_that_still_goes_on(
        self, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, kind: str, told: int
    ) -> None:
        from growth_tasks.alerts import tell_late

        # no warehouse there: what was told is remembered in the home
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://transform:x@127.0.0.1:1/growth")
        monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
        run = {"dag_id": "growth_daily", "dag_run_id": "manual__1", "state": state, "run_type": kind}
        context = {"dag_run": run, "deadline": {"id": "1", "deadline_time": datetime(2024, 3, 2, 6, tzinfo=UTC)}}
        with webhook() as hook:
            monkeypatch.setenv("GROWTH_WEBHOOK_URL", hook.url)
            tell_late(context)
            tell_late(context)
            assert [sent["title"] for sent in hook.received] == ["growth_daily is late"] * told


class TestARedRun:
    @pytest.fixture
    def titles(self, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], Any]]:
        # no warehouse there: what was told is remembered in the home
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://transform:x@127.0.0.1:1/growth")
        monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
        monkeypatch.setattr("growth_tasks.alerts.TASK_TELLS_SECONDS", 0)
        with webhook() as hook:
            monkeypatch.setenv("GROWTH_WEBHOOK_URL", hook.url)
            yield lambda: [sent["title"] for sent in hook.received]

    def context(self, task_id: str, clear_number: int) -> dict[str, Any]:
        task = SimpleNamespace(is_teardown=task_id == "report")
        ti = SimpleNamespace(dag_id="growth_daily", run_id="manual__1", task_id=task_id, task=task)
        run = SimpleNamespace(clear_number=clear_number)
        return {"dag": SimpleNamespace(dag_id="growth_daily"), "run_id": "manual__1", "ti": ti, "dag_run": run}

    def test_is_told_by_its_task_and_when_cleared_and_killed_by_the_dag(self, titles: Callable[[], Any]) -> None:
        from growth_tasks.alerts import TellFailure, tell_red_run

        TellFailure().notify({**self.context("run_dwh", 0), "exception": ValueError("broken")})
        tell_red_run(self.context("run_dwh", 0))
        assert titles() == ["run_dwh of growth_daily failed"]
        tell_red_run(self.context("gate_dwh", 1))
        tell_red_run(self.context("gate_dwh", 1))
        assert titles()[1:] == ["gate_dwh of growth_daily failed"]

    def test_is_told_beside_a_report_that_failed(self, titles: Callable[[], Any]) -> None:
        from growth_tasks.alerts import TellFailure, tell_red_run

        TellFailure().notify({**self.context("report", 0), "exception": ValueError("broken")})
        tell_red_run(self.context("run_dwh", 0))
        assert titles() == ["report of growth_daily failed", "run_dwh of growth_daily failed"]


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

    def test_a_server_error_within_a_load_is_not(self, steps: Any) -> None:
        import psycopg
        from airflow.sdk.exceptions import AirflowFailException

        def load() -> None:
            error = psycopg.errors.InsufficientPrivilege("permission denied")
            raise error from error

        with pytest.raises(AirflowFailException, match="permission denied"):
            steps.fail_for_good(load)()

    def test_a_task_that_is_cleared_after_another_run_has_built_is_not(
        self, steps: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        monkeypatch.setattr(steps, "warehouse", lambda: None)
        monkeypatch.setattr(steps, "get_current_context", lambda: {"run_id": "yesterday"})
        monkeypatch.setattr("growth.turns.turn_of", lambda _: "today")
        with pytest.raises(AirflowFailException, match="The run today has built since"):
            steps.publish_marts.function()
        monkeypatch.setattr("growth.turns.turn_of", lambda _: "yesterday")
        steps._require_turn()


class TestWhatARunDoesNotDependOn:
    @pytest.fixture
    def steps(self, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch) -> Any:
        import growth_tasks.steps

        monkeypatch.setattr(growth_tasks.steps, "warehouse", lambda: None)
        context = {"run_id": "today", "params": {"domains": []}}
        monkeypatch.setattr(growth_tasks.steps, "get_current_context", lambda: context)
        return growth_tasks.steps

    def test_what_follows_a_publication_does_not_fail_it(
        self, steps: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        import psycopg

        from growth.publish import Publication

        def lose(*_: object) -> None:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        def refuse(*_: object) -> None:
            raise ValueError("a contract is wrong")

        monkeypatch.setattr("growth.turns.turn_of", lambda _: "today")
        monkeypatch.setattr("growth.dbt.mart_names", lambda _: ["active_users"])
        monkeypatch.setattr("growth.publish.publish", lambda *_: Publication(1, {"active_users": 2}, {}))
        for step, failure in (
            *(("growth.status.silent_domains", refuse), ("growth.cleanup.forget_removed_rows", lose)),
            ("growth.old_rows.leave", refuse),
        ):
            monkeypatch.setattr(step, failure)
        assert steps.publish_marts.function() == {"active_users": 2}
        told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert len(told) == 3
        assert {text.split(";")[0] for text in told} == {"The marts are published"}

    @pytest.mark.parametrize("kind", ["ReportFailed", "OperationalError"])
    def test_tables_of_elementary(
        self, steps: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
    ) -> None:
        import psycopg

        from growth.elementary import ReportFailed

        def fail(_: object) -> None:
            raise {"ReportFailed": ReportFailed, "OperationalError": psycopg.OperationalError}[kind]("broken")

        monkeypatch.setattr("growth.packages.elementary_version", lambda: "0.26.1")
        monkeypatch.setattr("growth.elementary.prepare", fail)
        steps._prepare_elementary()
        assert "its report will lack this run" in caplog.text

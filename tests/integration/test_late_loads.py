"""What is loaded beside a run is judged before that run's models are built of it, or waits for the next run."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.pipeline import Pipeline
from support.steady import HISTORY, PER_DAY, land, sessions

from embedded.processes import wait_until
from growth import dbt, late_loads
from growth.gate_results import run_gate
from growth.settings import feeds_folder
from growth.turns import take_turn
from ingest import quarantine
from ingest.contract_files import load_contracts
from ingest.standstill import standstill
from ingest.unload import unload

RUN = "run"


def gate_raw(pipeline: Pipeline) -> None:
    """As the run's first steps: it takes the turn, and its gate looks."""
    assert take_turn(pipeline.warehouse, RUN, lambda _: False) is None
    late_loads.see(pipeline.warehouse, RUN)
    assert run_gate("raw", pipeline.warehouse, RUN).succeeded
    assert dbt.run_layer("staging", pipeline.warehouse).succeeded


def newest_session(pipeline: Pipeline) -> str:
    [(day,)] = pipeline.query("select max(session_started_date) from dwh.fct_sessions")
    return str(day)


def test_models_are_built_of_what_came_after_the_gate_once_it_was_judged(steady: Pipeline) -> None:
    said: list[str] = []
    land(steady, "new.csv", {HISTORY: PER_DAY})
    gate_raw(steady)
    assert late_loads.late_files(steady.warehouse, RUN) == []
    before = newest_session(steady)

    land(steady, "late.csv", {HISTORY + 1: PER_DAY // 2})
    assert late_loads.late_files(steady.warehouse, RUN, ["engagement"]) == [], "that run builds none of it"
    command, result = late_loads.build_judged(steady.warehouse, RUN, said.append)
    assert (command, result.succeeded) == ("gate_raw", False)
    assert result.reason == "volume_holds_sessions (1 row)"
    assert said == ["Loaded after gate raw looked, so it and gate staging judge once more: sessions/late.csv"]
    assert newest_session(steady) == before, "nothing was built, not even of what had been judged"
    command, result = late_loads.build_judged(steady.warehouse, RUN, said.append)
    assert (command, result.succeeded) == ("gate_raw", False), "nor by another try of the task"
    assert said.pop() == said[0]

    land(steady, "late.csv", {HISTORY + 1: PER_DAY})
    command, result = late_loads.build_judged(steady.warehouse, RUN, said.append)
    assert (command, result.succeeded) == ("run_dwh", True)
    assert newest_session(steady) > before
    assert late_loads.late_files(steady.warehouse, RUN) == []

    said.clear()
    assert take_turn(steady.warehouse, "next", lambda _: False) is None
    late_loads.see(steady.warehouse, "next")
    late_loads.build_judged(steady.warehouse, "next", said.append)
    assert said == [], "where nothing came, no gate runs twice"


def test_no_load_begins_while_models_are_built_and_it_says_that_it_waits(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.land("sessions", "a.csv", sessions(0))
    conninfo = pipeline.warehouse.conninfo("transform")
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING):
        with standstill(conninfo):
            loading = pool.submit(pipeline.load, "sessions")
            assert wait_until(lambda: "waits" in caplog.text, 60)
            assert pipeline.query("select count(*) from raw.sessions") == [(0,)]
        [result] = loading.result(timeout=60)
    assert (result.status, result.loaded_count) == ("loaded", PER_DAY)
    assert "sessions/a.csv waits for a run that builds models" in caplog.text
    with standstill(conninfo):
        assert [result.status for result in pipeline.load("sessions")] == ["skipped"], "it waits for nobody"


@pytest.mark.parametrize("what", ["unload", "replay"])
def test_what_else_changes_rows_waits_too(pipeline: Pipeline, caplog: pytest.LogCaptureFixture, what: str) -> None:
    pipeline.land("sessions", "a.csv", [*sessions(0), "7,no time,true,DIRECT"])
    pipeline.load("sessions")
    contract, conninfo = load_contracts(feeds_folder())["sessions"], pipeline.warehouse.conninfo("ingest")

    def change() -> None:
        if what == "unload":
            unload(conninfo, contract, "sessions/a.csv", run_id="test")
        else:
            quarantine.replay(conninfo, contract, run_id="test")

    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING):
        with standstill(conninfo):
            changing = pool.submit(change)
            assert wait_until(lambda: "sessions/a.csv waits" in caplog.text, 60)
            assert pipeline.query("select count(*) from raw.sessions") == [(PER_DAY,)]
        changing.result(timeout=60)
    assert pipeline.query("select count(*) from raw.sessions") == [(0 if what == "unload" else PER_DAY,)]


def test_a_standstill_that_was_lost_on_the_way_is_told(pipeline: Pipeline) -> None:
    conninfo = pipeline.warehouse.conninfo("transform")
    holders = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
    with pytest.raises(psycopg.OperationalError), standstill(conninfo):
        assert pipeline.query(holders) == [(True,)]

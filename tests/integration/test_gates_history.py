"""What gate_raw takes for a day, and for history: days that were brushed, replaced or unloaded are judged."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from support.pipeline import Pipeline
from support.steady import HISTORY, PER_DAY, START, land, sessions

from growth import dbt
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts
from ingest.unload import unload

FEW = PER_DAY // 4


def failures(pipeline: Pipeline) -> set[str]:
    """Names of the tests of gate_raw that stop a run; days that came before are no late ones."""
    result = dbt.check_layer("raw", pipeline.warehouse)
    assert [failure for failure in result.failures if failure.status == "error"] == []
    assert "few_late_days_sessions" not in {failure.name for failure in result.failures}
    return {failure.name for failure in result.failures if failure.status == "fail"}


def let_models_see(pipeline: Pipeline) -> None:
    """All loads, as when a run had built them: they are history."""
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute(
            "insert into dwh._consumed_loads (model, load_id)"
            " select 'fct_sessions', load_id from raw._loads on conflict do nothing"
        )


def land_on(pipeline: Pipeline, name: str, lines: list[str], day: int) -> None:
    """Land and load a file of sessions at nine in the morning of a day."""
    pipeline.land("sessions", name, lines)
    pipeline.load()
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute(
            "update raw._loads set started_at = %(then)s, finished_at = %(then)s where source_file = %(file)s",
            {"then": START + timedelta(days=day, hours=9), "file": f"sessions/{name}"},
        )


def take_out(pipeline: Pipeline, name: str) -> None:
    (pipeline.landing / "sessions" / name).unlink()
    contract = load_contracts(feeds_folder())["sessions"]
    unload(pipeline.warehouse.conninfo("ingest"), contract, f"sessions/{name}", run_id="test")


def test_a_day_that_another_days_file_brushed_is_judged_with_its_own_file(steady: Pipeline) -> None:
    brushed = [*sessions(HISTORY), *sessions(HISTORY + 1, 1)]
    land_on(steady, "60.csv", brushed, HISTORY + 1)
    assert failures(steady) == set(), "the day goes on"
    let_models_see(steady)
    land_on(steady, "61.csv", sessions(HISTORY + 1, FEW)[1:], HISTORY + 2)
    assert failures(steady) == {"volume_holds_sessions"}
    land_on(steady, "61.csv", sessions(HISTORY + 1)[1:], HISTORY + 2)
    assert failures(steady) == set()


def test_a_day_that_another_days_file_brushed_is_missed_when_its_own_never_comes(steady: Pipeline) -> None:
    land_on(steady, "60.csv", [*sessions(HISTORY), *sessions(HISTORY + 1, 1)], HISTORY + 1)
    let_models_see(steady)
    land_on(steady, "62.csv", sessions(HISTORY + 2), HISTORY + 3)
    assert failures(steady) == {"volume_holds_sessions"}
    [(day, count)] = steady.query("select event_date, row_count from dq_failures.volume_holds_sessions")
    assert (day, count) == ((START + timedelta(days=HISTORY + 1)).date(), 1)
    land_on(steady, "61.csv", sessions(HISTORY + 1)[1:], HISTORY + 3)
    assert failures(steady) == set()


def test_a_day_that_is_replaced_is_judged_unless_it_has_about_as_many_rows_as_before(steady: Pipeline) -> None:
    land(steady, "60.csv", {HISTORY: PER_DAY})
    land(steady, "61.csv", {HISTORY + 1: FEW})  # a holiday that was let pass
    let_models_see(steady)
    land(steady, "61.csv", {HISTORY + 1: FEW + 1})
    assert failures(steady) == set()
    land(steady, "60.csv", {HISTORY: FEW})
    assert failures(steady) == {"volume_holds_sessions"}
    land(steady, "60.csv", {HISTORY: PER_DAY - 1})
    assert failures(steady) == set()
    land(steady, "61.csv", {HISTORY + 2: PER_DAY})
    assert failures(steady) == {"volume_holds_sessions"}, "the day that the file no longer has"


def test_a_replacement_that_was_stopped_and_taken_out_judges_nothing_any_more(steady: Pipeline) -> None:
    land(steady, "60.csv", {HISTORY: PER_DAY})
    let_models_see(steady)
    land(steady, "60.csv", {HISTORY: FEW})
    assert failures(steady) == {"volume_holds_sessions"}
    take_out(steady, "60.csv")
    assert failures(steady) == set()


def test_the_new_day_of_a_file_that_is_written_anew_with_all_days_is_judged(steady: Pipeline) -> None:
    days = dict.fromkeys(range(HISTORY), PER_DAY)
    land(steady, "history.csv", days | {HISTORY: PER_DAY})
    assert failures(steady) == set()
    let_models_see(steady)
    land(steady, "history.csv", days | {HISTORY: PER_DAY, HISTORY + 2: PER_DAY})
    assert failures(steady) == {"no_day_missing_sessions"}
    land(steady, "history.csv", days | {HISTORY: PER_DAY, HISTORY + 1: FEW, HISTORY + 2: PER_DAY})
    assert failures(steady) == {"volume_holds_sessions"}
    land(steady, "history.csv", dict.fromkeys(range(HISTORY + 2), FEW))
    assert failures(steady) == {"volume_holds_sessions"}
    [(count,)] = steady.query("select count(*) from dq_failures.volume_holds_sessions")
    assert count > PER_DAY // FEW, "it is not its own measure"


def test_a_day_that_was_published_and_unloaded_is_missed_and_judged_when_it_comes_again(steady: Pipeline) -> None:
    land(steady, "60.csv", {HISTORY: PER_DAY})
    let_models_see(steady)
    take_out(steady, "60.csv")
    assert failures(steady) == set(), "taken out on purpose"
    let_models_see(steady)
    land(steady, "61.csv", {HISTORY + 1: PER_DAY})
    assert failures(steady) == {"no_day_missing_sessions"}
    land(steady, "60.csv", {HISTORY: FEW})
    assert failures(steady) == {"volume_holds_sessions"}
    land(steady, "60.csv", {HISTORY: PER_DAY})
    assert failures(steady) == set()


def test_a_file_that_was_stopped_and_unloaded_is_as_if_it_never_came(steady: Pipeline) -> None:
    land(steady, "60.csv", {HISTORY: FEW})
    assert failures(steady) == {"volume_holds_sessions"}
    take_out(steady, "60.csv")
    assert failures(steady) == set()


def test_what_is_taken_out_is_no_late_day(steady: Pipeline) -> None:
    land(steady, "old.csv", {0: 1})
    let_models_see(steady)
    take_out(steady, "old.csv")
    assert failures(steady) == set()


@pytest.mark.parametrize(("per_day", "missed"), [(9, set()), (10, {"no_day_missing_sessions"})])
def test_a_day_without_rows_is_missed_where_ten_a_day_are_usual(
    pipeline: Pipeline, per_day: int, missed: set[str]
) -> None:
    land(pipeline, "history.csv", dict.fromkeys(range(HISTORY), per_day))
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:  # as when a run had built them
        conn.execute("create table dwh._consumed_loads as select 'fct_sessions' as model, load_id from raw._loads")
    land(pipeline, "61.csv", {HISTORY + 1: per_day})
    assert failures(pipeline) == missed


@pytest.mark.parametrize(
    ("per_day", "count", "stopped"),
    [(40, 20, {"volume_holds_sessions"}), (30, 15, set()), (99, 59, {"volume_holds_sessions"}), (99, 300, set())],
)
def test_half_of_a_few_rows_is_stopped_where_chance_does_not_explain_it(
    pipeline: Pipeline, per_day: int, count: int, stopped: set[str]
) -> None:
    land(pipeline, "history.csv", dict.fromkeys(range(HISTORY), per_day))
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create table dwh._consumed_loads as select 'fct_sessions' as model, load_id from raw._loads")
    land(pipeline, "new.csv", {HISTORY: count, HISTORY + 1: per_day})
    assert failures(pipeline) == stopped


def test_from_a_hundred_rows_a_day_every_day_below_the_usual_is_told(pipeline: Pipeline) -> None:
    land(pipeline, "history.csv", dict.fromkeys(range(HISTORY), 100))
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create table dwh._consumed_loads as select 'fct_sessions' as model, load_id from raw._loads")
    land(pipeline, "new.csv", {HISTORY: 72, HISTORY + 1: 100})
    result = dbt.check_layer("raw", pipeline.warehouse)
    assert {(failure.name, failure.status) for failure in result.failures} == {("volume_is_usual_sessions", "warn")}

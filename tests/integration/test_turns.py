"""One run of growth_daily writes at a time, however many Airflow starts."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from click.testing import CliRunner
from support.pipeline import Pipeline

from embedded.processes import wait_until
from growth.backup import airflow_state
from growth.backup.quiet import quiet
from growth.cli import cli
from growth.settings import Warehouse, feeds_folder
from growth.turns import COMMAND, TurnTaken, commands_turn, no_run_beside, take_turn, turn_of
from growth.warehouse import initialise
from ingest.contract_files import load_contracts
from ingest.standstill import hold_off_standstill, standstill

WAITS = """
select count(*) from pg_locks inner join pg_stat_activity using (pid)
where usename = 'transform' and datname = current_database() and not granted
"""


@pytest.fixture
def prepared(warehouse: Warehouse) -> Warehouse:
    initialise(warehouse, load_contracts(feeds_folder()))
    return warehouse


def test_a_run_waits_for_the_one_that_has_the_turn_until_that_has_ended(prepared: Warehouse) -> None:
    going_on = {"scheduled"}
    assert take_turn(prepared, "scheduled", going_on.__contains__) is None
    assert take_turn(prepared, "backfill", going_on.__contains__) == "scheduled"
    assert take_turn(prepared, "scheduled", going_on.__contains__) is None, "its task is tried again"
    going_on = {"backfill"}
    assert take_turn(prepared, "backfill", going_on.__contains__) is None
    assert take_turn(prepared, "scheduled", going_on.__contains__) == "backfill"


def test_of_runs_that_start_at_once_one_takes_the_turn(prepared: Warehouse) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: take_turn(prepared, f"run {number}", lambda _: True), range(8)))
    assert answers.count(None) == 1
    assert set(answers) - {None} == {f"run {answers.index(None)}"}


def test_a_session_left_open_ends_and_a_model_waits_for_an_hour_but_a_run_as_long_as_it_takes(
    prepared: Warehouse,
) -> None:
    def setting(role: str, name: str) -> object:
        with psycopg.connect(prepared.conninfo(role)) as conn:
            return conn.execute(f"show {name}".encode()).fetchone()

    assert setting("analyst", "idle_in_transaction_session_timeout") == ("30min",)
    assert setting("transform", "lock_timeout") == ("1h",)
    with psycopg.connect(prepared.conninfo(), autocommit=True) as owner:
        owner.execute(f"alter role transform in database {prepared.database} set lock_timeout = '50ms'".encode())
    for take, wait in (
        (lambda conn: hold_off_standstill(conn, "sessions/a.csv"), lambda: _stand_still(prepared)),
        (
            lambda conn: conn.execute("lock table dwh._turn in row exclusive mode"),  # a backup
            lambda: take_turn(prepared, "run", lambda _: True),
        ),
    ):
        with ThreadPoolExecutor(1) as pool, psycopg.connect(prepared.conninfo("transform")) as holder:
            take(holder)
            waiting = pool.submit(wait)
            _until_it_waits(prepared, waiting)
            time.sleep(0.2)  # four times as long as others wait for a lock
            assert not waiting.done()
            holder.rollback()
            assert waiting.result(timeout=60) is None


def _until_it_waits(warehouse: Warehouse, waiting: Future[object]) -> None:
    with psycopg.connect(warehouse.conninfo(), autocommit=True) as conn:
        assert wait_until(lambda: waiting.done() or conn.execute(WAITS).fetchone() != (0,), 60)


def _stand_still(warehouse: Warehouse) -> None:
    with standstill(warehouse.conninfo("transform")):
        pass


def test_no_command_begins_beside_a_run_of_airflow(prepared: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it has no session open: while files load, and between two tasks."""
    address = f"{prepared.user}:{prepared.passwords[prepared.user]}@{prepared.host}:{prepared.port}/{prepared.database}"
    monkeypatch.setenv(airflow_state.ADDRESS, f"postgresql+psycopg2://{address}")
    with psycopg.connect(prepared.conninfo()) as conn:  # the warehouse stands for the metadata, too
        conn.execute("create table public.dag_run (dag_id text, run_id text, state text)")
        conn.execute("insert into public.dag_run values ('growth_daily', 'scheduled', 'running')")
    assert turn_of(prepared) is None
    with no_run_beside(prepared):
        pass
    assert take_turn(prepared, "scheduled", lambda _: True) is None
    with pytest.raises(TurnTaken, match="scheduled is going on"), no_run_beside(prepared):
        pass
    with psycopg.connect(prepared.conninfo()) as conn:
        conn.execute("update public.dag_run set state = 'success'")
    with no_run_beside(prepared):
        assert take_turn(prepared, "next", lambda _: True) is not None


def test_a_command_gives_its_turn_back_before_the_server_ends_its_session(
    prepared: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_open: list[psycopg.Connection] = []
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "close", lambda conn: left_open.append(conn))
        with commands_turn(prepared):
            pass
    with psycopg.connect(prepared.conninfo("transform")) as backup:
        backup.execute("lock table dwh._turn in row exclusive mode")
        with monkeypatch.context() as patch:
            patch.setattr(psycopg.Connection, "close", lambda conn: left_open.append(conn))
            with pytest.raises(TurnTaken), commands_turn(prepared):
                pass
    assert [conn.info.transaction_status.name for conn in left_open] == ["IDLE", "IDLE"]
    assert take_turn(prepared, "scheduled", lambda _: True) is None
    for conn in left_open:
        conn.close()


def test_no_run_begins_beside_an_erasure(pipeline: Pipeline) -> None:
    with commands_turn(pipeline.warehouse):
        assert take_turn(pipeline.warehouse, "scheduled", lambda _: True) == COMMAND
        with pytest.raises(TurnTaken), commands_turn(pipeline.warehouse):
            pass
    with quiet(pipeline.warehouse, None, print), pytest.raises(TurnTaken), commands_turn(pipeline.warehouse):
        pass
    assert take_turn(pipeline.warehouse, "scheduled", lambda _: True) is None


@pytest.mark.parametrize("command", [["publish"], ["rebuild-history"]])
def test_no_command_builds_or_publishes_beside_another(
    pipeline: Pipeline, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    with commands_turn(pipeline.warehouse):
        done = CliRunner().invoke(cli, command)
    assert isinstance(done.exception, TurnTaken)

"""One run of growth_daily writes at a time, however many Airflow starts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from growth.settings import Warehouse, feeds_folder
from growth.turns import take_turn
from growth.warehouse import initialise
from ingest.contract_files import load_contracts


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

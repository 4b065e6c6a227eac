"""Whatever the way of the files, the marts are those of a full refresh in a fresh warehouse, byte for byte.

``CONSISTENCY_ORDERS`` is how many ways are tried, ``CONSISTENCY_SEED`` what files and ways are drawn from; a failure
says how to go its way again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.feed_records import GENERATORS
from support.pipeline import MARTS, Pipeline
from support.postgres import PostgresServer, new_warehouse
from support.ways import Way, describe_difference, final_files

from growth import dbt
from growth.settings import PROJECT_ROOT, feeds_folder
from ingest.contract_files import load_contracts

ORDERS = int(os.environ.get("CONSISTENCY_ORDERS") or 3)
SEED = int(os.environ.get("CONSISTENCY_SEED") or 1)


@pytest.fixture(scope="module")
def full_refresh(
    postgres_server: PostgresServer, growth_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, list[str]]]:
    """The marts of a fresh warehouse: the final files, loaded at once and built from nothing."""
    landing = tmp_path_factory.mktemp("landing")
    with new_warehouse(postgres_server, "growth_fresh") as warehouse, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROWTH_LANDING", str(landing))
        patch.setenv("GROWTH_HOME", str(growth_home))
        pipeline = Pipeline(warehouse, landing).prepare()
        for path, lines in final_files(SEED).items():
            pipeline.land(*path.split("/", 1), lines)
        yield pipeline.run(full_refresh=True).marts()


def test_every_feed_and_every_mart_takes_part(full_refresh: dict[str, list[str]]) -> None:
    models = PROJECT_ROOT / "dbt_project" / "models" / "staging"
    modelled = {feed for feed in load_contracts(feeds_folder()) if list(models.glob(f"*/stg_*__{feed}.sql"))}
    assert GENERATORS.keys() == modelled
    assert set(dbt.mart_names()) <= MARTS.keys()
    assert not [mart for mart, rows in full_refresh.items() if len(rows) < 5], "too little to compare"


@pytest.mark.parametrize("order", range(1, ORDERS + 1))
def test_any_order_of_files_ends_as_a_full_refresh(
    pipeline: Pipeline, full_refresh: dict[str, list[str]], order: int
) -> None:
    way = Way(pipeline, SEED, order)
    difference = "it did not come to its end"
    try:
        way.go()
        difference = describe_difference(pipeline.marts(), full_refresh)
        assert not difference
        left = pipeline.query("select count(distinct feed) from raw._cold_files where aged_at is not null")
        assert left == [(6,)], "rows of every feed that has events left raw"
    except BaseException as error:
        steps = "\n".join(f"{number:3} {step}" for number, step in enumerate(way.steps, 1))
        again = f"CONSISTENCY_SEED={SEED} CONSISTENCY_ORDERS={order} pytest {Path(__file__).name} -k '[{order}]'"
        error.add_note(f"Order {order} of seed {SEED}:\n{steps}\n{difference}\nAgain: {again}")
        raise

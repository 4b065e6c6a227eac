"""What holds for the dbt project as a whole: unit tests, plans, portability, the targets."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlglot
from sqlglot.errors import ErrorLevel
from support.pipeline import Pipeline

from growth import dbt
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts
from ingest.dbt_sources import write_sources

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY_COUNT = 200


def test_every_unit_test_of_the_models_passes(pipeline: Pipeline) -> None:
    pipeline.build()  # a unit test needs the relations of its inputs to exist
    result = dbt.invoke(["test", "--quiet", "--select", "test_type:unit"], pipeline.warehouse)
    assert result.succeeded, [failure.message for failure in result.failures] or result.error
    assert result.node_count >= 15


@pytest.mark.usefixtures("published")
def test_an_empty_build_consumes_no_load(pipeline: Pipeline) -> None:
    dbt.invoke(["build", "--quiet", "--empty", "--full-refresh", "--select", "resource_type:model"], pipeline.warehouse)
    assert pipeline.query("select count(*) from dwh.fct_sessions") == [(0,)]
    pipeline.build()
    assert pipeline.query("select count(*) from dwh.fct_sessions") == [(1,)]


def test_a_late_day_is_built_without_scanning_history(pipeline: Pipeline) -> None:
    """The changed days, rendered as literals, reach the index of raw below the deduplication; so do the loads."""
    for first in range(0, DAY_COUNT, 20):
        lines = [
            f"{number},{START + number * timedelta(seconds=30)},true,DIRECT"
            for number in range(2880 * first, 2880 * (first + 20))
        ]
        pipeline.land("sessions", f"{first:03}.csv", lines)
    pipeline.run()
    pipeline.land("sessions", "late.csv", [f"-1,{START + timedelta(days=60)},true,DIRECT"])
    pipeline.load()
    rows_read = """
        select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_all_tables
        where schemaname = 'raw' and relname = 'sessions'
    """
    [(before,)] = pipeline.query(rows_read)
    pipeline.build()
    [(after,)] = pipeline.query(rows_read)
    assert pipeline.query("select count(*) from dwh.fct_sessions") == [(2880 * DAY_COUNT + 1,)]
    assert after - before < 2880 * DAY_COUNT / 2, "less than half of history, for all models that read it"


@pytest.mark.usefixtures("published")
def test_tables_are_filled_by_statements_that_may_read_in_parallel(growth_home: Path) -> None:
    ran = growth_home / "dbt" / "target-prod" / "run" / "growth" / "models" / "mart"
    statements = {path.stem: path.read_text() for path in ran.rglob("*.sql")}
    assert statements.keys() >= set(dbt.mart_names())
    assert [name for name in dbt.mart_names() if "insert into" in statements[name]] == []


def test_a_model_of_other_types_than_its_contract_is_not_built(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dbt.PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    contract = tmp_path / "dbt_project" / "models" / "dwh" / "acquisition" / "dim_channels.yml"
    contract.write_text(contract.read_text().replace("data_type: text", "data_type: bigint", 1))
    monkeypatch.setattr(dbt, "PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    result = dbt.invoke(["build", "--quiet", "--select", "+dim_channels,resource_type:model"], pipeline.warehouse)
    assert "contract" in " ".join(failure.message for failure in result.failures)
    assert pipeline.query("select to_regclass('dwh.dim_channels')") == [(None,)]


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ("acquisition/sessions", "sessions (identity other), conversions (identity customer)"),
        ("subscription/viewing_activity", "payments (identity customer), viewing_activity (identity other)"),
    ],
)
def test_feeds_of_a_domain_that_share_no_identity_are_refused(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: str, told: str
) -> None:
    shutil.copytree(dbt.PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    shutil.copytree(feeds_folder(), tmp_path / "feeds")
    contract = tmp_path / "feeds" / f"{feed}.yml"
    contract.write_text(contract.read_text().replace("identity: customer", "identity: other"))
    assert write_sources(load_contracts(tmp_path / "feeds"), tmp_path / "dbt_project")
    monkeypatch.setattr(dbt, "PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    domain = feed.split("/")[0]
    result = dbt.run_layer("staging", pipeline.warehouse, domains=[domain])
    assert not result.succeeded
    [refused] = [failure for failure in result.failures if failure.status == "error"]
    assert told in refused.message
    assert "Name one identity in all of their contracts" in refused.message


def test_a_domain_that_no_tag_selects_fails_the_run(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dbt.PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    monkeypatch.setattr(dbt, "PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    model = tmp_path / "dbt_project" / "models" / "staging" / "travel" / "stg_travel__flights.sql"
    model.parent.mkdir()
    model.write_text("-- Grain: one row.\nselect 1 as flight\n")
    untagged = dbt.run_layer("staging", pipeline.warehouse, domains=["acquisition", "travel"])
    assert not untagged.succeeded
    assert "selects the models of: staging/travel. In dbt_project/dbt_project.yml" in untagged.reason
    settings = tmp_path / "dbt_project" / "dbt_project.yml"
    line = "      acquisition: {+tags: [acquisition]}\n"
    settings.write_text(settings.read_text().replace(line, f"{line}      travel: {{+tags: [travel]}}\n", 1))
    assert dbt.run_layer("staging", pipeline.warehouse, domains=["travel"]).succeeded
    assert pipeline.query("select flight from staging.stg_travel__flights") == [(1,)]
    mart = tmp_path / "dbt_project" / "models" / "mart" / "travel" / "flights_daily.sql"
    mart.parent.mkdir()
    mart.write_text("-- Grain: one row.\nselect 1 as flight_count\n")
    untagged = dbt.run_layer("staging", pipeline.warehouse, domains=["travel"])
    assert not untagged.succeeded, "its mart would never be built"
    assert "selects the models of: mart/travel. In" in untagged.reason


@pytest.mark.usefixtures("published")
def test_the_incremental_sql_has_its_days_as_ranges_of_literals(pipeline: Pipeline, growth_home: Path) -> None:
    times = ["2024-02-05 23:59:59-01", "2024-02-07 23:59:59.999999", "2024-02-29 00:00:00"]
    pipeline.land("sessions", "b.csv", [f"1,{time},true,DIRECT" for time in times])
    pipeline.run()
    compiled = (growth_home / "dbt/target-prod/compiled/growth/models/dwh/acquisition/fct_sessions.sql").read_text()
    for first, last in [("2024-02-06", "2024-02-07"), ("2024-02-29", "2024-02-29")]:
        assert (
            f"(session_started_at >= timestamptz '{first} 00:00:00+00' "
            f"and session_started_at < timestamptz '{last} 00:00:00+00' + interval '1 day')"
        ) in " ".join(compiled.split())
    assert compiled.count("session_started_at >=") == 2


def test_a_model_run_alone_takes_no_load_past_its_parents(pipeline: Pipeline) -> None:
    """Whatever is run by hand in between, the next whole run is as right as a full refresh."""
    pipeline.land("sessions", "a.csv", ["1,2024-01-05 10:00:00,true,DIRECT"])
    pipeline.land("conversions", "a.csv", ["1,2024-01-05 11:00:00", "2,2024-01-06 11:00:00"])
    pipeline.run()
    alone = ["run", "--quiet", "--select"]
    pipeline.land("sessions", "b.csv", ["2,2024-01-06 10:00:00,true,BRANDNEW"])
    pipeline.land("conversions", "b.csv", ["3,2024-01-06 11:00:00"])
    pipeline.load()
    assert dbt.invoke([*alone, "fct_registrations"], pipeline.warehouse).succeeded
    pipeline.run()
    labels = "select user_id, attributed_channel from dwh.fct_registrations order by 1"
    assert pipeline.query(labels) == [("1", "DIRECT"), ("2", "OTHERS"), ("3", "UNATTRIBUTED")]

    # a new medium, which the rules spelled out (a table beside the way of the data) do not know yet
    pipeline.land("sessions", "c.csv", ["3,2024-01-06 10:00:00,true,NEWER"])
    pipeline.load()
    parents = ["fct_sessions", "int_acquisition__registrations", "fct_registrations"]
    assert dbt.invoke([*alone, *parents], pipeline.warehouse).succeeded
    incremental = pipeline.run().marts()
    assert pipeline.query(labels)[2] == ("3", "OTHERS")
    assert pipeline.run(full_refresh=True).marts() == incremental


def test_a_day_writes_down_its_own_loads_only(pipeline: Pipeline) -> None:
    """After years there are thousands of loads; what models have consumed is not written anew each day."""
    for number in range(3):
        pipeline.land("sessions", f"{number}.csv", [f"{number},{START + timedelta(days=number)},true,DIRECT"])
    pipeline.run()
    consumed = "select model, load_id, xmin::text from dwh._consumed_loads"
    before = set(pipeline.query(consumed))
    pipeline.land("sessions", "3.csv", [f"3,{START + timedelta(days=3)},true,DIRECT"])
    pipeline.run()
    after = set(pipeline.query(consumed))
    assert before < after
    assert {load_id for _, load_id, _ in after - before} == {max(load_id for _, load_id, _ in after)}
    assert {model for model, _, _ in after - before} == {model for model, _, _ in before}


def test_the_last_day_that_may_be_loaded_is_built(pipeline: Pipeline) -> None:
    pipeline.land("conversions", "a.csv", ["1,9999-12-30 11:00:00"])
    pipeline.run()
    pipeline.land("conversions", "b.csv", ["2,9999-12-31 23:59:59.999999"])
    pipeline.run()
    assert pipeline.query("select user_id from dwh.fct_registrations order by 1") == [("1",), ("2",)]


def test_models_parse_and_translate_to_spark(pipeline: Pipeline, growth_home: Path) -> None:
    pipeline.build()
    manifest = json.loads((growth_home / "dbt/target-prod/manifest.json").read_text())
    models = {
        node["name"]: growth_home / "dbt/target-prod/compiled/growth" / node["original_file_path"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    assert len(models) >= 15
    for name, path in models.items():
        [statement] = sqlglot.transpile(
            path.read_text(), read="postgres", write="spark", unsupported_level=ErrorLevel.RAISE
        )
        assert sqlglot.parse_one(statement, read="spark"), name


def test_no_domain_is_built_from_another_one(pipeline: Pipeline, growth_home: Path) -> None:
    """Else a run of one domain would lack the other; they meet in models of folder `shared`."""
    assert dbt.invoke(["parse", "--quiet"], pipeline.warehouse).succeeded
    manifest = json.loads((growth_home / "dbt/target-prod/manifest.json").read_text())
    domains = {contract.domain for contract in load_contracts(feeds_folder()).values()}
    built = {
        name: node for name, node in manifest["nodes"].items() if node["resource_type"] in ("model", "snapshot", "seed")
    }
    meetings = [
        (node["name"], parent)
        for node in built.values()
        for domain in domains & set(node["tags"])
        for parent in node["depends_on"].get("nodes", [])
        if parent in built and domain not in built[parent]["tags"]
    ]
    assert meetings == []
    assert {len(domains & set(node["tags"])) for node in built.values()} == {0, 1}


def test_what_is_not_portable_stands_in_macros() -> None:
    """Inline in a model stands no SQL that Spark does not know."""
    models = Path(__file__).resolve().parents[2] / "dbt_project" / "models"
    unportable = ("at time zone", "extract(epoch", "distinct on", "generate_series", "collate", "::")
    found = [
        f"{path.name}: {text}"
        for path in models.rglob("*.sql")
        for text in unportable
        if text in "\n".join(line for line in path.read_text().lower().splitlines() if not line.startswith("--"))
    ]
    assert found == []


@pytest.mark.usefixtures("published")
def test_dev_builds_apart_and_never_touches_what_readers_see(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas = "select distinct schemaname from pg_tables where schemaname !~ '^(pg_|information)' order by 1"
    before, marts = pipeline.query(schemas), pipeline.marts()
    pipeline.land("sessions", "b.csv", ["2,2024-01-05 10:00:00,true,DIRECT"])
    pipeline.load()
    monkeypatch.setenv("DBT_DEV_PREFIX", "dev_ada")
    result = dbt.invoke(["build", "--quiet", "--exclude-resource-type", "unit_test"], pipeline.warehouse, target="dev")
    assert result.succeeded, [dbt.describe(failure) for failure in result.failures] or result.error
    added = {schema for (schema,) in pipeline.query(schemas)} - {schema for (schema,) in before}
    assert added == {"dev_ada_dq_failures", "dev_ada_dwh", "dev_ada_mart_candidate"}
    assert pipeline.query("select count(*) from dev_ada_dwh.fct_sessions") == [(2,)]
    assert pipeline.marts() == marts
    pipeline.run()  # what dev consumed is still news to prod
    assert pipeline.query("select count(*) from dwh.fct_sessions") == [(2,)]


@pytest.mark.parametrize("bounds", ["'-infinity', '2024-01-01'", "'2024-01-01', 'infinity'", "'-infinity', 'infinity'"])
def test_no_spine_goes_on_for_ever(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bounds: str
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=10s")
    spines = (
        f"select {{{{ date_spine('first', 'last', 'day') }}}} from (values (date {bounds.replace(', ', ', date ')}))"
        " as bounds (first, last)"
    )
    query = f"select count(*) as rows from ({spines} union all {spines.replace('date_spine', 'month_spine')}) as days"
    arguments = ["show", "--quiet", "--output", "json", "--inline", query]
    result = dbt.invoke(arguments, pipeline.warehouse)
    assert result.succeeded, [failure.message for failure in result.failures] or result.error
    printed = capsys.readouterr().out
    assert json.loads(printed[printed.index("{") :])["show"] == [{"rows": 0}]


def test_a_surrogate_key_is_never_null_and_its_parts_do_not_run_together(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    query = (
        "select {{ surrogate_key(['a', 'b']) }} as key from (values "
        "('x', 'y'), ('x|1:y', null), (null, 'x'), ('x', null), ('', null), ('x', ''), (null, null)) as v (a, b)"
    )
    arguments = ["show", "--quiet", "--output", "json", "--limit", "10", "--inline", query]
    assert dbt.invoke(arguments, pipeline.warehouse).succeeded
    printed = capsys.readouterr().out
    keys = [row["key"] for row in json.loads(printed[printed.index("{") :])["show"]]
    assert len(keys) == len(set(keys)) == 7
    assert None not in keys

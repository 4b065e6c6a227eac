"""Defects are stopped by the gate that docs/data-quality.md names; good data pass all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from support.pipeline import Pipeline
from support.steady import HISTORY, PER_DAY, START, land, sessions

from growth import checks, dbt
from growth.publish import publish
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts
from ingest.unload import unload
from sample_data import write_sample


def failures(pipeline: Pipeline, layer: str, status: str = "fail") -> set[str]:
    """Names of the tests of a gate that came to this end; a gate that cannot run at all fails here."""
    result = dbt.check_layer(layer, pipeline.warehouse)
    assert result.error == ""
    assert [failure for failure in result.failures if failure.status == "error"] == []
    found = {failure.name for failure in result.failures if failure.status == status}
    assert result.succeeded == (status != "fail" or not found)
    return found


def test_the_sample_passes_every_gate_and_nothing_failed_is_kept(
    pipeline: Pipeline, all_checks: list[checks.Check]
) -> None:
    write_sample(pipeline.landing, users=500, days=60, seed=1)
    pipeline.load()
    for layer in ("raw", *dbt.LAYERS):
        assert layer == "raw" or dbt.run_layer(layer, pipeline.warehouse).succeeded
        result = dbt.check_layer(layer, pipeline.warehouse)
        assert [dbt.describe(failure) for failure in result.failures] == []
        assert result.succeeded
        listed = sorted(
            check.name
            for check in all_checks
            # what never came is not judged
            if check.gate == layer and (layer != "raw" or (pipeline.landing / check.of.split(".")[1]).exists())
        )
        assert sorted(check.name for check in result.checks) == listed, "another gate, or none, runs it"
    assert kept(pipeline) == []


def kept(pipeline: Pipeline) -> list[str]:
    tables = "select relname from pg_class where relnamespace = to_regnamespace('dq_failures') order by 1"
    return [name for (name,) in pipeline.query(tables)]


def test_gate_raw_judges_what_is_new_against_history(steady: Pipeline) -> None:
    """Every load here stays unconsumed, since its gate stopped it, and is mended under its own name."""
    land(steady, "new.csv", {HISTORY: PER_DAY, HISTORY + 1: PER_DAY, HISTORY + 2: PER_DAY})
    assert failures(steady, "raw") == failures(steady, "raw", "warn") == set()

    land(steady, "new.csv", {HISTORY: PER_DAY, HISTORY + 1: PER_DAY // 2, HISTORY + 2: PER_DAY})
    assert failures(steady, "raw") == {"volume_holds_sessions"}
    [(day, count, expected)] = steady.query(
        "select event_date, row_count, expected_count from dq_failures.volume_holds_sessions"
    )
    assert (str(day), count, expected) == (str((START + timedelta(days=HISTORY + 1)).date()), PER_DAY // 2, PER_DAY)

    land(steady, "new.csv", {HISTORY: PER_DAY, HISTORY + 1: PER_DAY, HISTORY + 2: int(PER_DAY * 0.7)})
    assert failures(steady, "raw", "warn") == {"volume_is_usual_sessions"}
    assert kept(steady) == ["volume_is_usual_sessions"], "what passes again keeps nothing"

    steady.land("sessions", "future.csv", ["1,2199-01-01 00:00:00,true,DIRECT"])
    steady.load()
    assert "events_not_in_future_sessions" in failures(steady, "raw")


def test_gate_raw_compares_raw_with_the_ledger_and_the_contract(pipeline: Pipeline) -> None:
    land(pipeline, "a.csv", {0: 10, 1: 10})
    pipeline.land("conversions", "a.csv", ["1,2024-01-01 00:00:00"] * 2)
    lines = ["userid,time_started,is_paid,medium,colour", *(f"{line},red" for line in sessions(3, 10)), "x,y,z,q,red"]
    drifted = [*lines[:-1], *(f"{line},red" for line in sessions(4, 30)), lines[-1]]
    (pipeline.landing / "sessions" / "b.csv").write_text("\n".join(drifted) + "\n")
    pipeline.load()
    assert failures(pipeline, "raw", "warn") == {
        *("few_duplicates_conversions", "few_rejects_sessions", "header_as_contracted_sessions")
    }

    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:  # behind the ledger's back
        conn.execute("delete from raw.sessions where userid = 3 and time_started < '2024-01-02'")
        conn.execute("update raw.sessions set _load_id = 99 where userid = 4 and time_started < '2024-01-02'")
        conn.execute("delete from raw._rejects")
        conn.execute("alter table raw.conversions add column more text")
    assert failures(pipeline, "raw") == {
        *("loads_reconcile_sessions", "rows_have_loads_sessions", "rejects_reconcile_sessions"),
        "columns_match_contract_conversions",
    }


def test_gate_raw_judges_prices_hours_and_payments_of_feeds_that_came(pipeline: Pipeline) -> None:
    assert dbt.check_layer("raw", pipeline.warehouse).checks == (), "no file ever came"
    pipeline.land("payments", "a.csv", ["1,ann,2024-01-05,9.99,EUR", "2,bob,2024-01-06,-9.99,", '3," ",2024-01-06,1,'])
    pipeline.load()
    result = dbt.check_layer("raw", pipeline.warehouse)
    found = {failure.name: failure.row_count for failure in result.failures}
    assert found == {"relationships_payments_user_id": 3, "no_blanks_payments": 1}, "without a file of subscribers, too"
    feeds = {"payments", "subscribers"}
    assert {check.name for check in result.checks if not feeds & set(check.name.split("_"))} == set()

    pipeline.land("subscribers", "extract_date=2024-01-07/a.csv", [" ann ,DE,2024-01-01,basic", "bob,,,"])
    prices = ("0", "12.5", "-0.01")
    blanks = ['4," ",2024-01-01,,5', '" ",bob,2024-01-01,,5']  # in no model, nor is it the MRR of anybody
    pipeline.land("subscriptions", "a.csv", [*(f"{price},ann,2024-01-01,,{price}" for price in prices), *blanks])
    pipeline.land("viewing_activity", "a.csv", ["ann,2024-01-05,0", "ann,2024-01-06,-1"])
    pipeline.load()
    found = {failure.name: failure.row_count for failure in dbt.check_layer("raw", pipeline.warehouse).failures}
    assert found == {
        "relationships_payments_user_id": 1,  # the blank one; a negative payment is a refund
        "no_blanks_payments": 1,
        "no_blanks_subscriptions": 2,
        "within_range_subscriptions_monthly_price": 1,
        "within_range_viewing_activity_hours_watched": 1,
    }

    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:  # as when they are history
        conn.execute("create table dwh._consumed_loads as select 'fct_payments' as model, load_id from raw._loads")
    pipeline.land("payments", "b.csv", ["4,bob,2024-01-07,9.99,EUR"])
    pipeline.land("viewing_activity", "b.csv", ["ann,2024-01-07,1"])
    pipeline.load()
    assert failures(pipeline, "raw") == set(), "only days that new loads touched are read"


def test_a_run_of_another_domain_judges_no_load_of_this_one(pipeline: Pipeline) -> None:
    pipeline.land("viewing_activity", "bad.csv", ["ann,2024-01-06,-1"])
    land(pipeline, "a.csv", {0: 10, 1: 10})
    assert "within_range_viewing_activity_hours_watched" in failures(pipeline, "raw")
    for layer in dbt.LAYERS:
        assert dbt.run_layer(layer, pipeline.warehouse, domains=["acquisition"]).succeeded
    assert "within_range_viewing_activity_hours_watched" in failures(pipeline, "raw")


def test_gate_staging_stops_a_view_that_loses_rows(pipeline: Pipeline) -> None:
    land(pipeline, "a.csv", {0: 10, 1: 10})
    assert dbt.run_layer("staging", pipeline.warehouse).succeeded
    assert failures(pipeline, "staging") == set()
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        row = conn.execute("select pg_get_viewdef('staging.stg_acquisition__sessions'::regclass)").fetchone()
        assert row is not None
        conn.execute(
            "create or replace view staging.stg_acquisition__sessions as"
            f" select * from ({str(row[0]).rstrip(';')}) as all_rows where user_id <> '3'".encode()
        )
    assert failures(pipeline, "staging") == {"stg_acquisition__sessions_has_every_row_of_raw_once"}


def test_gate_dwh_and_gate_mart_stop_what_does_not_agree(steady: Pipeline) -> None:
    assert failures(steady, "dwh") == failures(steady, "mart") == set()
    marts = steady.marts()
    with psycopg.connect(steady.warehouse.conninfo("transform")) as conn:
        conn.execute(
            "update mart_candidate.acquisition_daily set session_count = session_count + 1 where channel = 'EMAIL'"
        )
        conn.execute(
            "update mart_candidate.channel_attribution set registration_rate = registration_rate / 2"
            " where registration_count > 0"
        )
    assert failures(steady, "mart") == {
        *("acquisition_daily_has_every_session", "acquisition_daily_agrees_with_channel_conversion"),
        "shares_sum_to_one_channel_attribution_registration_rate__attribution_model__registration_month",
    }

    with psycopg.connect(steady.warehouse.conninfo("transform")) as conn:
        conn.execute("delete from dwh.dim_channels where channel = 'EMAIL'")
        conn.execute("delete from dwh.fct_sessions where user_id = '5' and session_started_date = '2024-01-03'")
        conn.execute("delete from dwh._consumed_loads where model = 'fct_registrations'")
    found = failures(steady, "dwh")
    assert {
        "relationships_fct_sessions_channel__channel__ref_dim_channels_",
        "fct_sessions_has_every_session_of_staging",
        "fct_user_channels_has_every_session",
        "loads_are_consumed_fct_registrations_",
    } <= found
    assert steady.marts()["channel_attribution"] == marts["channel_attribution"]


@pytest.mark.parametrize("meanwhile", ["rollback", "other domain"])
def test_a_day_that_failed_gate_dwh_is_judged_until_it_is_published(steady: Pipeline, meanwhile: str) -> None:
    """What is published meanwhile may be newer than the load by more than a day: all of that is made older."""
    land(steady, "new.csv", {HISTORY: PER_DAY})
    steady.build()
    with psycopg.connect(steady.warehouse.conninfo("transform")) as conn:
        conn.execute(f"delete from dwh.fct_sessions where session_started_date = date '2024-01-01' + {HISTORY}")
    check = "fct_sessions_has_every_session_of_staging"
    assert check in failures(steady, "dwh")

    with psycopg.connect(steady.warehouse.conninfo()) as conn:
        conn.execute("update raw._loads set finished_at = finished_at - interval '3 days'")
        conn.execute("update mart.publications set published_at = published_at - interval '4 days'")
    if meanwhile == "rollback":
        with psycopg.connect(steady.warehouse.conninfo("transform")) as conn:
            conn.execute(
                "insert into mart.publications (run_id, rules_version, row_counts, is_rollback)"
                " select 'undo', rules_version, row_counts, true from mart.publications"
            )
    else:
        publish(steady.warehouse, "other", dbt.mart_names(["subscription"]))
    assert check in failures(steady, "dwh")

    publish(steady.warehouse, "own", dbt.mart_names(["acquisition"]))
    assert check not in failures(steady, "dwh"), "history"


def test_failing_rows_are_kept_shown_and_dropped_when_old(pipeline: Pipeline) -> None:
    pipeline.land("sessions", "a.csv", ["1,2199-01-01 00:00:00,true,DIRECT"])
    pipeline.load()
    [failure] = dbt.check_layer("raw", pipeline.warehouse).failures
    assert failure.kept_in == "dq_failures.events_not_in_future_sessions"
    assert f"select * from {failure.kept_in}" in dbt.describe(failure)
    assert len(pipeline.query(f"select * from {failure.kept_in}")) == 1
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create table dq_failures.mine (a integer)")
        conn.execute("create table dq_failures.older (a integer)")
        conn.execute("comment on table dq_failures.older is '2024-01-01T00:00:00Z some_test'")
    failures(pipeline, "raw")
    assert kept(pipeline) == ["events_not_in_future_sessions", "mine"]
    with psycopg.connect(pipeline.warehouse.conninfo("analyst")) as conn, pytest.raises(psycopg.errors.Error):
        conn.execute("select * from dq_failures.mine")


def test_a_stale_feed_warns_and_no_gate_asks(pipeline: Pipeline) -> None:
    land(pipeline, "a.csv", {0: 10})
    assert failures(pipeline, "raw", "warn") == set()
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute("update raw._loads set finished_at = finished_at - interval '49 hours'")
    result = dbt.invoke(["test", "--quiet", "--select", "tag:freshness"], pipeline.warehouse)
    assert result.succeeded
    stale = {failure.name for failure in result.failures}
    assert stale == {"newest_day_is_fresh_sessions", "delivered_on_time_sessions"}


# Kinds that no defect above reaches: rows of a view, its columns, the arguments, and how many rows fail.
KINDS = {
    "within_range": ("(0), (1), (2), (null)", "a", "column_name='a', min=1, max=1", 2),
    "in_order": ("(1, 2), (2, 1), (null, 1), (1, 1)", "a, b", "columns=['a', 'b']", 1),
    "intervals_do_not_overlap": (
        "('x', 1, 3), ('x', 2, 4), ('x', 4, null), ('y', 1, 2), ('y', 2, null), ('z', 1, null), ('z', 3, 4)",
        *("k, a, b", "key=['k'], start_column='a', end_column='b'", 2),
    ),
    "days_are_complete": ("(date '2024-02-28'), ('2024-02-29'), ('2024-03-02')", "a", "column_name='a'", 1),
    "texts_are_clean": ("('A'), ('a'), (' A'), (''), (null)", "a", "column_name='a', upper=true", 3),
    "shares_sum_to_one": ("('x', 0.3), ('x', 0.7), ('y', 0.5)", "k, a", "column_name='a', group_by=['k']", 1),
    "few_without_match": ("(1), (2), (3)", "a", "column_name='a', to='staging.kind_not_null', field='a'", 1),
    "no_new_category": (
        "('A', date '2024-01-01', date '2024-05-01'), ('B', '2024-03-01', '2024-03-01'),"
        " ('C', '2024-04-30', '2024-05-01')",
        *("a, first_date, last_date", "column_name='a', first_seen='first_date', last_seen='last_date'", 1),
    ),
    "not_null": ("(1, 1), (2, null), (null, 3)", "a, b", "columns=['a', 'b']", 2),
    "unique": ("(1), (1), (2), (null), (null)", "a", "column_name='a'", 1),
    "unique_together": ("(1, null), (1, null), (2, 1)", "a, b", "columns=['a', 'b']", 1),
    "accepted_values": ("('x'), ('y''z'), ('q'), (null)", "a", "column_name='a', values=['x', \"y'z\"]", 1),
    "rows_hold": ("(1), (null), (-1)", "a", "condition='a > 0'", 2),
}


def test_each_kind_finds_just_the_rows_that_fail(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    parts = []
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        for kind, (values, columns, arguments, _) in KINDS.items():
            view = f"create view staging.kind_{kind} as select * from (values {values}) as rows ({columns})"
            conn.execute(view.encode())
            call = f'{{{{ test_{kind}("staging.kind_{kind}", {arguments}) }}}}'
            parts.append(f"select '{kind}' as kind, count(*) as failing from ({call}) as failing_rows")
    command = ["show", "--quiet", "--output", "json", "--limit", "50", "--inline", "\nunion all\n".join(parts)]
    assert dbt.invoke(command, pipeline.warehouse).succeeded
    printed = capsys.readouterr().out
    rows = json.loads(printed[printed.index("{") :])["show"]
    assert {row["kind"]: row["failing"] for row in rows} == {kind: expected for kind, (*_, expected) in KINDS.items()}


@pytest.fixture(scope="module")
def all_checks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[checks.Check]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROWTH_HOME", str(tmp_path_factory.mktemp("home")))  # or the other tests would parse anew
        yield checks.parse()


def test_every_check_has_one_tag_and_the_severity_of_it(all_checks: list[checks.Check]) -> None:
    severities = {"critical": "error", "warning": "warn", "freshness": "warn"}
    wrong = [check for check in all_checks if check.severity != severities.get(check.tag)]
    assert wrong == []
    assert len({check.kind for check in all_checks}) >= 30
    assert {check.gate for check in all_checks} == {*checks.GATES}


def test_the_list_of_checks_is_not_stale(all_checks: list[checks.Check]) -> None:
    text = checks.DOCUMENT.read_text()
    assert checks.with_checks(text, all_checks) == text, "run: python -m growth.checks"
    files = {path.stem for path in (checks.PROJECT_ROOT / "dbt_project/tests/generic").glob("*.sql")}
    assert all(checks.describe_kind(kind) for kind in files)
    for kind in files:
        assert f"`{kind}`" in text, f"{kind} stands in no list"


def test_a_day_far_ahead_is_forgotten_when_its_file_is_unloaded(steady: Pipeline) -> None:
    steady.land("sessions", "wrong.csv", ["1,2199-01-01 00:00:00,true,DIRECT"])
    steady.load()
    assert "events_not_in_future_sessions" in failures(steady, "raw")
    (steady.landing / "sessions" / "wrong.csv").unlink()
    contract = load_contracts(feeds_folder())["sessions"]
    unload(steady.warehouse.conninfo("ingest"), contract, "sessions/wrong.csv", run_id="test")
    assert failures(steady, "raw") == set()
    steady.run()
    # nor does it hide, as a part of history, that a day is missing
    land(steady, "next.csv", {HISTORY + 1: PER_DAY})
    assert failures(steady, "raw") == {"no_day_missing_sessions"}
    # nor that the feed stands still
    assert "newest_day_is_fresh_sessions" in {check.name for check in dbt.check_freshness(steady.warehouse).failures}
    assert steady.query("select newest_date < '2199-01-01' from dwh._newest_days where feed = 'sessions'") == [(True,)]

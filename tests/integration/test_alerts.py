"""One cause sends one message, whoever asks and whatever is down; examples show no personal data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from support.pipeline import Pipeline
from support.receivers import Hook, mail_server

from growth import gate_results, status
from growth.alerts import ledger, quality
from growth.alerts.causes import TaskFailure, checks_warned, task_failed
from growth.alerts.channels import Channel, deliver
from growth.alerts.examples import first_examples
from growth.alerts.message import Alert, FailedCheck
from growth.alerts.sending import send
from growth.settings import feeds_folder
from ingest.contract import Contract
from ingest.contract_files import load_contracts

FAILURE = TaskFailure("growth_daily", "run", "gate_raw")
ALERT = task_failed(FAILURE, [FailedCheck("volume_holds_sessions", "gate_raw", 1)])
SCOPES = ["growth_daily.gate_raw"]


@pytest.fixture
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def age(pipeline: Pipeline, hours: float) -> None:
    """Let time pass."""
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute(
            "update dwh._alerts set sent_at = sent_at - %(h)s * interval '1 hour',"
            " claimed_at = claimed_at - %(h)s * interval '1 hour'",
            {"h": hours},
        )


def test_one_cause_sends_one_message_until_it_is_gone(pipeline: Pipeline, hook: Hook) -> None:
    def told() -> int:
        hook.received.clear()
        with ThreadPoolExecutor(8) as pool:  # as many at once as there may be tasks
            list(pool.map(lambda _: send(pipeline.warehouse, ALERT), range(8)))
        return len(hook.received)

    assert [told(), told()] == [1, 0]
    other = task_failed(FAILURE, [FailedCheck("no_day_missing_sessions", "gate_raw", 1)])
    assert send(pipeline.warehouse, other) == ["webhook"]
    age(pipeline, ledger.REPEAT_HOURS - 1)
    assert told() == 0
    age(pipeline, 1)
    assert [told(), told()] == [1, 0]
    ledger.forget(pipeline.warehouse, ["growth_daily.gate_dwh"])
    assert told() == 0
    ledger.forget(pipeline.warehouse, SCOPES)
    assert [told(), told()] == [1, 0]


def test_a_channel_that_is_down_gets_the_next_one_and_the_others_get_theirs(
    pipeline: Pipeline, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server() as mailbox:
        monkeypatch.setenv("GROWTH_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("GROWTH_SMTP_PORT", str(mailbox.port))
        monkeypatch.setenv("GROWTH_SMTP_STARTTLS", "false")
        monkeypatch.setenv("GROWTH_ALERT_FROM", "growth@example.com")
        monkeypatch.setenv("GROWTH_ALERT_TO", "ann@example.com")
        hook.answers += [404]
        assert send(pipeline.warehouse, ALERT) == ["email"]
        assert "alert not sent to webhook: the server answered 404" in caplog.text
        assert send(pipeline.warehouse, ALERT) == ["webhook"]
        assert send(pipeline.warehouse, ALERT) == []
        assert (len(mailbox.mails), len(hook.received)) == (1, 1)

        def fail(channel: Channel, alert: Alert) -> None:
            if channel.name == "webhook":
                raise RuntimeError(hook.url)
            deliver(channel, alert)

        monkeypatch.setattr("growth.alerts.sending.deliver", fail)
        ledger.forget(pipeline.warehouse, SCOPES)
        assert send(pipeline.warehouse, ALERT) == ["email"], "what nobody foresaw keeps none of the others silent"
        assert "alert not sent to webhook: RuntimeError" in caplog.text
        assert hook.url not in caplog.text


def test_a_sender_that_was_killed_keeps_nobody_silent(pipeline: Pipeline, hook: Hook) -> None:
    assert ledger.claim(pipeline.warehouse, ALERT, "webhook") == list(ALERT.causes)
    assert send(pipeline.warehouse, ALERT) == []
    age(pipeline, ledger.CLAIM_MINUTES / 60 + 0.01)
    assert send(pipeline.warehouse, ALERT) == ["webhook"]


def test_only_news_is_told_of_checks_that_warn(pipeline: Pipeline, hook: Hook) -> None:
    def tell(*names: str) -> list[str]:
        checks = [FailedCheck(name, "freshness", 1) for name in names]
        alert = checks_warned("late", "data_quality.freshness", "feeds are late", checks, "data_quality", "run")
        ledger.forget(pipeline.warehouse, [alert.scope], alert.causes)
        hook.received.clear()
        send(pipeline.warehouse, alert)
        return [check["name"] for sent in hook.received for check in sent["checks"]]

    assert tell("a", "b") == ["a", "b"]
    assert tell("a", "b", "c") == ["c"]
    assert tell("c") == []
    assert tell("a", "c") == ["a"]


def test_without_the_warehouse_one_outage_is_told_once(pipeline: Pipeline, hook: Hook, private_home: Path) -> None:
    gone = replace(pipeline.warehouse, port=1)
    outages = [
        task_failed(TaskFailure("growth_daily", "run", "load_feed", feed, "refused", is_outage=True))
        for feed in ("sessions", "conversions")
    ]
    assert [send(gone, alert) for alert in outages] == [["webhook"], []]
    hook.answers += [404]
    assert send(gone, ALERT) == []
    assert send(gone, ALERT) == ["webhook"]
    ledger.forget(pipeline.warehouse, [])  # it is back
    assert send(gone, outages[0]) == ["webhook"]
    assert len(hook.received) == 3


def test_without_a_channel_the_alert_stands_in_the_log(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    assert send(pipeline.warehouse, ALERT) == []
    assert "FAILURE: gate_raw stopped growth_daily" in caplog.text
    assert pipeline.query("select count(*) from dwh._alerts") == [(0,)]


def contracts() -> dict[str, Contract]:
    return load_contracts(feeds_folder())


# What a test kept, and what of it is shown; values marked p are personal, or may be.
KEPT = {
    "volume": (
        "select date '2024-03-01' as event_date, 60 as row_count, 119.5::float as expected_count",
        "event_date 2024-03-01, row_count 60, expected_count 119.5",
    ),
    "future": (
        "select 4711 as userid, timestamptz '2199-01-01 12:34:56+00' as time_started, true as is_paid,"
        " 'p' as medium, 7 as _load_id, 'sessions/a.csv' as _source_file",
        "userid …, time_started 2199-01-01, is_paid …, medium …, _load_id 7, _source_file sessions/a.csv",
    ),
    "unique": ("select 4711 as unique_field, 2 as n_records", "unique_field …, n_records 2"),
    "payment": (
        "select 'p' as user_id, 9.99 as amount, date '2024-03-01' as payment_date, null as currency_code",
        "user_id …, amount …, payment_date 2024-03-01, currency_code null",
    ),
    "text_named_like_a_figure": ("select 'p' as row_count, 'sessions' as feed", "row_count …, feed sessions"),
    "figures": (
        "select 'mean size of amount' as figure, 298 as value_count, 1000.5 as value",
        "figure mean size of amount, value_count 298, value …",
    ),
    "shares": ("select 'p' as group_value, 0.25 as new_share, 3 as total", "group_value …, new_share 0.25, total 3"),
    "late": (
        "select 'sessions' as feed, timestamptz '2024-03-01 10:11:12+00' as last_load_at",
        "feed sessions, last_load_at 2024-03-01",
    ),
}


def test_examples_show_days_and_figures_and_mask_all_else(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create schema dq_failures")
        for name, (query, _) in KEPT.items():
            conn.execute(f"create table dq_failures.{name} as {query}".encode())
        conn.execute("insert into dq_failures.volume select '2024-03-02', n, n from generate_series(1, 9) as n")

    def shown(name: str, known: dict[str, Contract]) -> tuple[str, ...]:
        return first_examples(pipeline.warehouse, f"dq_failures.{name}", known.values())

    assert {name: shown(name, contracts())[0] for name in KEPT} == {name: text for name, (_, text) in KEPT.items()}
    assert len(shown("volume", contracts())) == 3
    assert shown("gone", contracts()) == first_examples(pipeline.warehouse, "", []) == ()
    # a contract may name its users, or an amount, so that the name alone would be harmless
    paid = contracts()["payments"].model_dump()
    next(column for column in paid["columns"] if column["name"] == "amount")["name"] = "row_count"
    assert shown("volume", {"payments": Contract.model_validate(paid)})[0].startswith(
        "event_date 2024-03-01, row_count …"
    )
    edited = contracts()["sessions"].model_dump()
    edited["columns"][0]["name"] = edited["user"] = "row_count"
    edited["key"] = ["row_count", "time_started"]
    [first, *_] = shown("volume", {"sessions": Contract.model_validate(edited)})
    assert first.startswith("event_date 2024-03-01, row_count …")


def test_a_late_feed_is_told_once_and_stops_nothing(pipeline: Pipeline, hook: Hook) -> None:
    now = datetime.now(UTC)
    pipeline.land("sessions", "a.csv", ["1,2024-01-01 10:00:00,true,DIRECT"])
    pipeline.land("conversions", "a.csv", [f"1,{now:%Y-%m-%d} 00:00:00"])
    pipeline.load()
    assert gate_results.run_gate("raw", pipeline.warehouse, "one").succeeded, "no gate asks the clock"
    late = ["newest_day_is_fresh_sessions"]
    assert [check.name for check in quality.tell_late_feeds(pipeline.warehouse, "one")] == late
    [alert] = hook.received
    assert (alert["kind"], alert["title"], alert["causes"]) == ("late", "feeds are late", late)
    assert alert["checks"][0]["examples"] == ["feed sessions, newest_date 2024-01-01"]
    pipeline.land("sessions", "b.csv", [f"1,{now:%Y-%m-%d} 00:00:00,true,DIRECT"])
    pipeline.load()
    assert quality.tell_late_feeds(pipeline.warehouse, "two") == []
    assert pipeline.query("select count(*) from dwh._alerts") == [(0,)]
    found = pipeline.query(
        "select run_id, status, count(*) from mart.gate_results where gate = 'freshness' group by 1, 2 order by 1, 2"
    )
    checks = 2 * len(contracts())  # of each feed: its newest event, its last delivery
    assert found == [("one", "pass", checks - 1), ("one", "warn", 1), ("two", "pass", checks)]
    assert quality.tell_warnings(pipeline.warehouse, "two") == [], "a late feed is no warning besides"


def test_what_a_gate_found_is_told_until_it_passes(pipeline: Pipeline, hook: Hook) -> None:
    pipeline.land("conversions", "a.csv", ["4711,2024-01-01 00:00:00"] * 3)
    pipeline.land("sessions", "a.csv", ["4711,2199-01-01 10:00:00,true,DIRECT"])
    pipeline.load()
    assert not gate_results.run_gate("raw", pipeline.warehouse, "one").succeeded
    [failed] = quality.failed_checks(pipeline.warehouse, "one", "gate_raw")
    assert (failed.name, failed.gate, failed.row_count) == ("events_not_in_future_sessions", "gate_raw", 1)
    assert failed.examples[0].startswith("userid …, time_started 2199-01-01, is_paid …, medium …, ")
    assert quality.failed_checks(pipeline.warehouse, "one", "run_dwh") == [failed], "where it judges once more"
    assert quality.failed_checks(pipeline.warehouse, "one", "gate_dwh") == []
    assert quality.failed_checks(pipeline.warehouse, "one", "run_staging") == []
    assert quality.failed_checks(replace(pipeline.warehouse, port=1), "one", "gate_raw") == []

    kept_in = "dq_failures.few_duplicates_conversions"
    warned = FailedCheck(*("few_duplicates_conversions", "gate_raw", 1, kept_in, ("row_count 3, duplicate_count 2",)))
    assert quality.tell_warnings(pipeline.warehouse, "morning") == [warned]
    assert quality.tell_warnings(pipeline.warehouse, "evening") == [warned]
    assert [(sent["kind"], sent["causes"]) for sent in hook.received] == [("warning", ["few_duplicates_conversions"])]
    line = "Warned, worth a look: few_duplicates_conversions (1 row). docs/runbooks/data_quality.md says what to do."
    assert status.warned(pipeline.warehouse) == [line], "also for those who get no alerts"
    assert line in status.report(pipeline.warehouse)
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:  # what the next run finds
        conn.execute(
            "insert into mart.gate_results (run_id, gate, check_name, kind, tag, severity, status, duration_seconds)"
            " values ('two', 'raw', 'few_duplicates_conversions', 'few_duplicates', 'warning', 'warn', 'pass', 0)"
        )
    assert quality.tell_warnings(pipeline.warehouse, "next morning") == []
    assert status.warned(pipeline.warehouse) == []
    assert pipeline.query("select count(*) from dwh._alerts") == [(0,)]
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("drop table mart.gate_results")
    assert status.warned(pipeline.warehouse) == [], "a warehouse of an older release has none"


def test_a_run_is_asked_about_once(pipeline: Pipeline) -> None:
    asked = [ledger.is_first(pipeline.warehouse, "growth_daily.runs", run) for run in ("a", "b", "a")]
    assert asked == [True, True, False]
    age(pipeline, 1)
    assert not ledger.is_first(pipeline.warehouse, "growth_daily.runs", "a")
    age(pipeline, 24 * ledger.ASKED_DAYS)
    ledger.forget(pipeline.warehouse, [])
    assert pipeline.query("select count(*) from dwh._alerts") == [(0,)]

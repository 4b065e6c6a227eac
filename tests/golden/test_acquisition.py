"""Files in, marts out: every number equals an independent calculation, whatever way the files came."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import oracle
import pytest
from support.pipeline import Pipeline

from growth import settings
from growth.cleanup import forget_removed_rows
from growth.status import silent_domains
from ingest import quarantine
from ingest.contract_files import load_contracts
from ingest.unload import unload

START = datetime(2024, 1, 29, tzinfo=UTC)  # so that registrations fall into two months
DAYS = 12
MEDIA = ["PAID SEARCH", " paid search", "IMPRESSION", "Organic Search", "DIRECT", "SOCIAL", "EMAIL", "", "  "]
HOUR = 3_600_000_000


def rows(seed: int, users: int = 150) -> dict[str, list[str]]:
    """Random sessions and registrations that meet at window boundaries, in the same instant, twice and not at all."""
    draw = random.Random(seed)
    sessions, conversions = [], []

    def text(instant: datetime) -> str:
        style = draw.randrange(3)
        if style == 0:
            return instant.strftime("%Y-%m-%d %H:%M:%S.%f")
        if style == 1:
            return instant.isoformat()
        return (instant + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%d %H:%M:%S.%f+05:30")

    def session(user: int, instant: datetime) -> None:
        line = f"{user},{text(instant)},{draw.choice(['true', 'false'])},{draw.choice(MEDIA)}"
        sessions.extend([line] * draw.choice([1, 1, 1, 2]))

    for number in range(users):
        user = 10**18 + number
        registrations = [
            START + timedelta(microseconds=draw.randrange(DAYS * 24 * HOUR)) for _ in range(draw.choice([0, 1, 1, 2]))
        ]
        for instant in registrations:
            conversions.extend([f"{user},{text(instant)}"] * draw.choice([1, 1, 2]))
        if number % 7 == 0:
            continue  # registers without any session
        anchors = registrations or [START + timedelta(days=DAYS / 2)]
        for anchor in anchors:
            for _ in range(draw.randrange(5)):
                hours = draw.choice([0, 1, 3, 12, 1, 3, 12, 40, -1])
                session(user, anchor - timedelta(microseconds=hours * HOUR + draw.choice([-1, 0, 0, 1, 10**6])))
    draw.shuffle(sessions)
    draw.shuffle(conversions)
    return {"sessions": sessions, "conversions": conversions}


def day_of(line: str) -> str:
    return oracle.parse_time(line.split(",")[1]).date().isoformat()


def split_by_day(lines: list[str]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for line in lines:
        days.setdefault(day_of(line), []).append(line)
    return days


def six_places(value: Decimal | None) -> Decimal | None:
    return None if value is None else oracle.round_decimal(value)


def assert_equals_the_oracle(pipeline: Pipeline, rules: tuple[oracle.Rule, ...] = oracle.DEFAULT_RULES) -> None:
    expected = oracle.calculate(pipeline.landing, rules)
    attributions = {
        (row.registration.user_id, row.registration.registered_at): (
            row.label,
            row.session and (row.session.started_at, row.session.channel, row.session.is_paid),
            row.age_hours,
            row.touch_count,
            row.unattributed_reason,
        )
        for row in expected.registrations
    }
    found = {
        (user, at): (label, (start, channel, paid) if key else None, six_places(age), touches, reason)
        for user, at, label, key, start, channel, paid, age, touches, reason in pipeline.query(
            "select user_id, registered_at, attributed_channel, attributed_session_sk, attributed_session_started_at, "
            "attributed_session_channel, is_attributed_session_paid, attributed_age_hours, touch_count, "
            "unattributed_reason from dwh.fct_registrations"
        )
    }
    assert found == attributions
    labels = {
        (row.attribution_model, row.channel, row.registration_month): (row.registration_count, row.registration_rate)
        for row in expected.channel_attribution
    }
    assert {
        (model, channel, month): (count, six_places(rate))
        for model, channel, month, count, rate in pipeline.query("select * from mart.channel_attribution")
    } == labels
    conversions = {
        row.channel: (
            *(row.session_count, row.touched_user_count, row.converted_user_count, row.conversion_rate),
            *(row.hours_to_conversion_avg, row.hours_to_conversion_median, row.hours_to_conversion_p90),
        )
        for row in expected.channel_conversion
    }
    assert {
        channel: (*counts, *map(six_places, numbers))
        for channel, *rest in pipeline.query("select * from mart.channel_conversion")
        for counts, numbers in [(rest[:3], rest[3:])]
    } == conversions
    daily = [
        (row.activity_date, row.channel, row.session_count, row.paid_session_count, row.registration_count)
        for row in expected.acquisition_daily
    ]
    assert sorted(pipeline.query("select * from mart.acquisition_daily")) == sorted(daily)
    users = [
        (row.identity, row.user_id, ",".join(row.domains), row.first_date, row.last_date) for row in expected.dim_users
    ]
    assert sorted(pipeline.query("select * from dwh.dim_users")) == sorted(users)


def test_marts_equal_the_independent_calculation_and_pass_their_gates(pipeline: Pipeline) -> None:
    for feed, lines in rows(seed=1, users=400).items():
        pipeline.land(feed, "all.csv", lines)
    pipeline.run()
    assert_equals_the_oracle(pipeline)
    pipeline.gates()
    assert silent_domains(pipeline.warehouse) == ["engagement", "subscription"]
    reasons = dict(pipeline.query("select unattributed_reason, count(*) from dwh.fct_registrations group by 1"))
    assert reasons.keys() == {None, "no_session", "only_sessions_after", "only_sessions_outside_window"}
    labels = {label for (label,) in pipeline.query("select distinct attributed_channel from dwh.fct_registrations")}
    assert labels == {"PAID_SEARCH", "PAID_IMPRESSION", "ORGANIC_SEARCH", "DIRECT", "OTHERS", "UNATTRIBUTED"}


def test_late_replaced_and_erased_rows_end_as_a_full_refresh_would(pipeline: Pipeline) -> None:
    """Daily files, one of them late, one replaced, one emptied; after each step the incremental marts are right."""
    content = {feed: split_by_day(lines) for feed, lines in rows(seed=2).items()}
    days = sorted(content["sessions"].keys() | content["conversions"].keys())
    late = days[4]
    for feed, by_day in content.items():
        for day, lines in by_day.items():
            if day != late:
                pipeline.land(feed, f"{day}.csv", lines)
    pipeline.run()
    assert_equals_the_oracle(pipeline)

    for feed, by_day in content.items():  # the late day, and a new file of a feed only
        pipeline.land(feed, f"{late}.csv", by_day.get(late, []))
    pipeline.run()
    assert_equals_the_oracle(pipeline)

    # Replaced: half of a day's sessions go, some of them the only ones of their user; and a day loses its last rows.
    pipeline.land("sessions", f"{days[6]}.csv", content["sessions"][days[6]][::2])
    pipeline.land("conversions", f"{days[6]}.csv", content["conversions"][days[6]][1::2])
    pipeline.land("sessions", f"{days[0]}.csv", [])
    pipeline.run()
    assert_equals_the_oracle(pipeline)
    incremental = pipeline.marts()
    pipeline.gates()

    pipeline.run()  # nothing new
    assert pipeline.marts() == incremental
    pipeline.run(full_refresh=True)
    assert pipeline.marts() == incremental


def test_unloaded_and_replayed_records_end_as_a_full_refresh_would(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose records went or came is known also where no other of theirs stays, and where no build lay in between."""
    feeds = tmp_path / "feeds"
    shutil.copytree(settings.feeds_folder(), feeds)
    monkeypatch.setenv("GROWTH_FEEDS", str(feeds))
    contract = feeds / "acquisition" / "sessions.yml"
    lenient = contract.read_text().replace("max_reject_rate: 0.05", "max_reject_rate: 0.9")
    accepted = [medium for medium in MEDIA if medium not in ("SOCIAL", "EMAIL", "")]
    contract.write_text(lenient.replace("name: medium\n", f"name: medium\n    accepted_values: {accepted}\n"))
    pipeline.prepare()
    content = {feed: split_by_day(lines) for feed, lines in rows(seed=5).items()}
    for feed, by_day in content.items():
        for day, lines in by_day.items():
            pipeline.land(feed, f"{day}.csv", lines)
    assert sum(result.rejected_count for result in pipeline.run().load()) > 20
    conninfo, days = pipeline.warehouse.conninfo("ingest"), sorted(content["sessions"].keys())

    def replay(name: str | None = None) -> int:
        contracts = load_contracts(feeds)
        return sum(
            file.loaded_count
            for file in quarantine.replay(conninfo, contracts["sessions"], run_id="test", source_file=name)
        )

    def remove(feed: str, day: str) -> None:
        name = f"{feed}/{day}.csv"
        assert unload(conninfo, load_contracts(feeds)[feed], name, run_id="test") > 0
        (pipeline.landing / name).unlink()  # the oracle reads what lies there

    contract.write_text(lenient)
    pipeline.prepare()
    # Replayed and taken out with its file, before any build; a file without some of its users; one day less.
    assert replay(f"sessions/{days[3]}.csv") > 0
    remove("sessions", days[3])
    pipeline.land("sessions", f"{days[5]}.csv", content["sessions"][days[5]][::3])
    remove("conversions", days[6])
    assert replay() > 0
    pipeline.run()
    assert_equals_the_oracle(pipeline)

    # What is dropped of the removed records is known to every model.
    assert pipeline.query("select count(*) > 0 from raw._removed_sessions") == [(True,)]
    assert sorted(forget_removed_rows(pipeline.warehouse)) == ["conversions", "sessions"]
    assert pipeline.query("select count(*) from raw._removed_sessions") == [(0,)]

    remove("sessions", days[5])
    remove("sessions", days[-1])
    pipeline.run()
    assert_equals_the_oracle(pipeline)
    incremental = pipeline.marts()
    assert pipeline.run(full_refresh=True).marts() == incremental


def test_order_and_split_of_the_files_change_nothing(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = rows(seed=3)
    for feed, lines in content.items():
        pipeline.land(feed, "all.csv", lines)
    whole = pipeline.run().marts()

    # The same rows again: shuffled, in daily files that come in random order, some of them twice. Duplicates fall.
    other = Pipeline(pipeline.warehouse, tmp_path / "other")
    monkeypatch.setenv("GROWTH_LANDING", str(other.landing))
    draw = random.Random(3)
    files = [
        (feed, day, lines) for feed, all_lines in content.items() for day, lines in split_by_day(all_lines).items()
    ]
    draw.shuffle(files)
    for number, (feed, _day, lines) in enumerate(files):
        other.land(feed, f"{number:03}.csv", draw.sample(lines, len(lines)))
    assert other.run().marts() == whole
    shutil.rmtree(other.landing)
    assert other.run().marts() == whole, "a file that goes away changes nothing"


def test_an_edited_rule_relabels_all_history_at_the_next_run(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for feed, lines in rows(seed=4).items():
        pipeline.land(feed, "all.csv", lines)
    pipeline.run()
    edited = tmp_path / "project"
    shutil.copytree(settings.PROJECT_ROOT / "dbt_project", edited / "dbt_project")
    seed = edited / "dbt_project" / "seeds" / "acquisition" / "attribution_rules.csv"
    seed.write_text(
        "priority,channel,is_paid,window_hours,label\n"
        "1,DIRECT,,0.5,DIRECT_NOW\n2,paid search,true,3,PAID\n3,*,,40,REST\n"
    )
    monkeypatch.setattr("growth.dbt.PROJECT_ROOT", edited)
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))  # or the other tests would parse anew
    pipeline.run()
    rules = (
        oracle.Rule(1, "DIRECT", Fraction(1, 2), "DIRECT_NOW"),
        oracle.Rule(2, "PAID SEARCH", 3, "PAID", is_paid=True),
        oracle.Rule(3, None, 40, "REST"),
    )
    assert_equals_the_oracle(pipeline, rules)
    versions: list[tuple[Any, ...]] = pipeline.query("select distinct rules_version from mart.publications")
    assert len(versions) == 2

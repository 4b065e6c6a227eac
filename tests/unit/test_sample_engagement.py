"""The feeds of engagement hold what sample_data/truths.py promises, found by plain counting in the written files."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from support.engagement import (
    APP_STEPS,
    APPS,
    FIRST_DAY,
    LAST_DAY,
    MILES_STEPS,
    WEEK,
    Sample,
    first_day_of,
    found_in,
    records,
)

from ingest.contract_files import load_contracts
from sample_data import ENGAGEMENT_TRUTHS, WrittenFile, write_sample
from sample_data import FEEDS as ALL_FEEDS

USERS, DAYS, SEED = 2000, 60, 1
FEEDS = ("events", "app_events", "app_users")
NULLABLE = ("country", "age_group", "gender", "user_segment")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    return Sample(folder, write_sample(folder, users=USERS, days=DAYS, seed=SEED))


@pytest.fixture(scope="module")
def found(sample: Sample) -> dict[str, float]:
    return found_in(sample)


def digests(files: list[WrittenFile], folder: Path) -> dict[str, str]:
    """Sha256 of every file, by its path below the folder."""
    return {str(file.path.relative_to(folder)): hashlib.sha256(file.path.read_bytes()).hexdigest() for file in files}


def test_every_truth_is_counted(found: dict[str, float]) -> None:
    assert found.keys() == ENGAGEMENT_TRUTHS.keys()


@pytest.mark.parametrize("name", ENGAGEMENT_TRUTHS)
def test_truth_is_found(name: str, found: dict[str, float]) -> None:
    truth = ENGAGEMENT_TRUTHS[name]
    assert truth.low <= found[name] <= truth.high, truth.meaning


def test_retention_decays_and_flattens(found: dict[str, float]) -> None:
    first, second, fourth, sixth = (found[f"retention_week_{offset}"] for offset in (1, 2, 4, 6))
    assert first > second > fourth > sixth
    assert 1 - first > first - second > (second - fourth) / 2 > (fourth - sixth) / 2


def test_users_of_good_channels_stay_longer(found: dict[str, float]) -> None:
    assert found["stayed_good"] > found["stayed_poor"] + 0.1


@pytest.mark.parametrize("product", [*APPS, "miles"])
def test_funnels_narrow(product: str, sample: Sample) -> None:
    reached = sample.funnel(product, MILES_STEPS if product == "miles" else APP_STEPS)
    assert reached == sorted(reached, reverse=True)
    assert reached[-1] > 0
    counts = Counter(event.event_type for event in sample.events if event.product == product)
    in_order = [counts[step] for step in (MILES_STEPS if product == "miles" else APP_STEPS)]
    assert in_order == sorted(in_order, reverse=True)


def test_no_user_has_two_events_at_one_instant(sample: Sample) -> None:
    assert len({(event.user, event.time) for event in sample.events}) == len(sample.events)


def test_files_are_of_weeks_days_and_extracts_and_fit_their_contracts(sample: Sample) -> None:
    paths = [str(file.path.relative_to(sample.folder)) for file in sample.files if file.feed in FEEDS]
    mondays = [FIRST_DAY + week * WEEK for week in range(13)]
    days = [date(2024, 1, 22) + timedelta(days=day) for day in range(39)]
    assert sorted(paths) == sorted(
        [
            *(f"events/events_{monday}.csv" for monday in mondays),
            *(f"app_events/app_events_{monday}.csv" for monday in mondays[:7]),
            *(f"app_events/event_date={day}/app_events.parquet" for day in days),
            *(f"app_users/extract_date={monday + timedelta(days=6)}/app_users.csv" for monday in mondays[:-1]),
            f"app_users/extract_date={LAST_DAY}/app_users.csv",
        ]
    )
    contracts = load_contracts(Path(__file__).parents[2] / "ingest" / "feeds")
    for file in sample.files:
        if file.feed in FEEDS:
            rows = list(records(file))
            assert len(rows) == file.row_count > 0
            assert tuple(rows[0]) == contracts[file.feed].column_names
    assert 30_000 < len(sample.rows) < 60_000


def test_times_lie_in_the_span_and_in_the_days_of_their_files_or_before(sample: Sample) -> None:
    assert {event.time.date() for event in sample.events} == {FIRST_DAY + timedelta(days=day) for day in range(88)}
    for file in sample.files:
        if file.path.suffix == ".parquet":
            until = first_day_of(file)
            assert all(row["event_timestamp"][:10] <= str(until) for row in records(file))


def test_fields_of_events(sample: Sample) -> None:
    rows = [row for file in sample.files if file.feed == "events" for row in records(file)]
    kinds = Counter((row["event_type"], bool(row["miles_amount"]), bool(row["transaction_category"])) for row in rows)
    assert {kind[:2] for kind in kinds} == {
        *(("reward_search", False), ("miles_earned", True), ("miles_redeemed", True), ("like", False)),
        ("share", False),
    }
    assert kinds["reward_search", False, False] > kinds["reward_search", False, True] > 0
    assert kinds["miles_earned", True, True] > kinds["miles_earned", True, False] > 0
    amounts = [row["miles_amount"] for row in rows if row["miles_amount"]]
    assert all(amount[-3] == "." and 5 <= float(amount) < 20_000 for amount in amounts)
    assert {row["platform"] for row in rows} == {"ios", "android", "web", ""}
    assert {"organic_search", "display", "app_store", ""} < {row["utm_source"] for row in rows}


def test_app_events_have_ids_of_their_own_and_sessions_of_one_user(sample: Sample) -> None:
    rows = [row for file in sample.files if file.feed == "app_events" for row in records(file)]
    by_id = {row["event_id"]: (*row.values(),)[1:4] for row in rows}
    assert len(by_id) == sum(event.product != "miles" for event in sample.distinct)
    sessions = defaultdict(set)
    for row in rows:
        sessions[row["session_id"]].add((row["user_id"], row["product"]))
    assert all(len({user for user, _ in owners} - {""}) <= 1 for owners in sessions.values())
    assert all(len({product for _, product in owners}) == 1 for owners in sessions.values())
    durations = [int(row["duration_seconds"]) for row in rows if row["duration_seconds"]]
    assert 1 <= min(durations) < max(durations) <= 600
    assert 0.5 < len(durations) / len(rows) < 0.8


def test_one_company(sample: Sample) -> None:
    visitors = {row["userid"] for file in sample.files if file.feed == "sessions" for row in records(file)}
    registered = {row["userid"] for file in sample.files if file.feed == "conversions" for row in records(file)}
    known = set[str]().union(*sample.extracts.values())
    assert all(len(user) == 19 for user in known | sample.weeks.keys())
    assert len(known & registered) / len(registered) > 0.85
    assert len(known & visitors) / len(known) > 0.7
    assert len(known | visitors | registered | sample.weeks.keys()) <= USERS


def test_nobody_is_active_before_signing_up_and_many_are_on_that_day(sample: Sample) -> None:
    signed_up = {
        user: date.fromisoformat(row["signup_date"]) for rows in sample.extracts.values() for user, row in rows.items()
    }
    first: dict[str, date] = {}
    for event in sample.events:
        first.setdefault(event.user, event.time.date())
    waits = [(first[user] - day).days for user, day in signed_up.items() if user in first and day >= FIRST_DAY]
    assert min(waits) == 0
    assert max(waits) <= 3
    assert waits.count(0) / len(waits) > 0.7


def test_extracts_list_everyone_until_they_go_and_say_when_they_changed(sample: Sample) -> None:
    for (before, earlier), (today, later) in itertools.pairwise(sorted(sample.extracts.items())):
        came = later.keys() - earlier.keys()
        assert all(before < date.fromisoformat(later[user]["signup_date"]) <= today for user in came)
        for user in later.keys() & earlier.keys():
            updated_at = datetime.fromisoformat(later[user]["updated_at"])
            assert updated_at.date() <= today
            assert (later[user] != earlier[user]) == (updated_at.date() > before)
    last = sample.extracts[LAST_DAY].values()
    assert all(0 < sum(row[name] == "" for row in last) / len(last) < 0.08 for name in NULLABLE)


def test_events_happen_where_the_user_lives(sample: Sample) -> None:
    rows = [row for file in sample.files if file.feed in ("events", "app_events") for row in records(file)]
    lives, moved = sample.extracts[LAST_DAY], 0
    for row in rows:
        if row["user_id"] in lives and row["country"] != lives[row["user_id"]]["country"]:
            time = row.get("event_time") or row["event_timestamp"]
            assert time < lives[row["user_id"]]["updated_at"]
            moved += 1
    assert moved > 0


def test_same_arguments_same_bytes_and_a_feed_alone_is_the_same(tmp_path: Path, sample: Sample) -> None:
    expected = digests(sample.files, sample.folder)
    for feed in ("conversions", "app_events", "app_users"):
        alone = write_sample(tmp_path, users=USERS, days=DAYS, seed=SEED, feeds=[feed])
        assert digests(alone, tmp_path) == {path: sha for path, sha in expected.items() if path.startswith(f"{feed}/")}
    other = write_sample(tmp_path, users=USERS, days=DAYS, seed=SEED + 1, feeds=["events"])
    assert not set(digests(other, tmp_path).values()) & set(expected.values())


def test_rows_are_those_of_every_other_machine(tmp_path: Path) -> None:
    # Pinned, as in test_sample_data.py; of Parquet the rows, since another pyarrow may pack them otherwise.
    whole = hashlib.sha256()
    for file in write_sample(tmp_path, users=300, days=10, seed=7, feeds=FEEDS):
        rows = [list(row.values()) for row in records(file)]
        whole.update(f"{file.path.relative_to(tmp_path)} {rows}\n".encode())
    assert whole.hexdigest() == "e37ddf45b4b6f7c16c7c3744ac254ae6c4ae592d08e97c238a743ab8276e2327"


def test_one_more_day_leaves_the_days_before_as_they_were(tmp_path: Path) -> None:
    written = [
        digests(
            write_sample(tmp_path, users=300, days=20, seed=1, feeds=FEEDS, lead_days=3, more_days=more, is_daily=True),
            tmp_path,
        )
        for more in (0, 1)
    ]
    del written[0]["app_users/extract_date=2024-01-20/app_users.csv"]  # a Saturday: there only as the last day
    assert dict(written[0].items() & written[1].items()) == written[0]
    assert sorted(written[1].keys() - written[0].keys()) == [
        "app_events/event_date=2024-01-21/app_events.parquet",
        "app_users/extract_date=2024-01-21/app_users.csv",
        "events/events_2024-01-21.csv",
    ]


@pytest.mark.parametrize("events", [5_000, 100_000])
def test_about_as_many_events_as_asked_for(tmp_path: Path, events: int) -> None:
    files = write_sample(tmp_path, users=1000, days=30, seed=1, feeds=["events", "app_events"], events=events)
    assert 0.9 * events < sum(file.row_count for file in files) < 1.1 * events


def test_progress_counts_days_of_the_sample(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_sample(tmp_path, users=10, days=9, seed=1, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(day, 9) for day in range(1, 10)]


@pytest.mark.parametrize(("users", "days", "lead_days"), [(1, 1, 0), (1, 40, None), (3, 2, 1), (2, 3, 0)])
def test_tiny_samples_are_files_too(tmp_path: Path, users: int, days: int, lead_days: int | None) -> None:
    written = write_sample(tmp_path, users=users, days=days, seed=1, lead_days=lead_days)
    assert all(len(list(records(file))) == file.row_count for file in written)
    assert {file.feed for file in written} == set(ALL_FEEDS)


def test_what_is_stopped_leaves_finished_files_only(tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        if done == 47:  # in the middle of a week, when Parquet is written
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, users=100, days=60, seed=1, progress=stop)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".csv", ".parquet"}
    assert not (tmp_path / "events" / "events_2024-02-12.csv").exists()


@pytest.mark.parametrize("senseless", [{"lead_days": -1}, {"more_days": -1}, {"events": 0}, {"feeds": ["clicks"]}])
def test_senseless_arguments_are_refused(tmp_path: Path, senseless: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"at least|no feed of the sample: clicks"):
        write_sample(tmp_path, users=1, days=1, seed=1, **senseless)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())

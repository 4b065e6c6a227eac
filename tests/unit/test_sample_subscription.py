"""The feeds of subscriptions tell one story with the others, found by plain counting in the written files."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from golden.subscription_oracle import Company
from support.engagement import GOOD, POOR, Sample, records

from ingest.contract_files import load_contracts
from sample_data import WrittenFile, write_sample
from sample_data.subscription_files import SUBSCRIPTION_FEEDS

FIRST_DAY, LAST_DAY = date(2023, 12, 4), date(2024, 2, 29)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    return Sample(folder, write_sample(folder, users=2000, days=60, seed=1))


@pytest.fixture(scope="module")
def company(sample: Sample) -> Company:
    return Company(sample.folder)


def digest(files: list[WrittenFile]) -> str:
    return hashlib.sha256(b"".join(file.path.read_bytes() for file in files)).hexdigest()


def test_files_fit_their_contracts_and_their_weeks(sample: Sample) -> None:
    contracts = load_contracts(Path(__file__).parents[2] / "ingest" / "feeds")
    files = Counter(file.feed for file in sample.files)
    for feed in SUBSCRIPTION_FEEDS:
        assert files[feed] == 13
    for file in sample.files:
        if file.feed in SUBSCRIPTION_FEEDS:
            rows = list(records(file))
            assert len(rows) == file.row_count > 0
            assert tuple(rows[0]) == contracts[file.feed].column_names


def test_a_feed_is_the_same_whichever_others_are_written_and_however_long(sample: Sample, tmp_path: Path) -> None:
    ours = [file for file in sample.files if file.feed == "payments"]
    alone = write_sample(tmp_path / "alone", users=2000, days=60, seed=1, feeds=["payments"])
    assert digest(alone) == digest(ours)
    longer = write_sample(tmp_path / "longer", users=2000, days=60, seed=1, feeds=SUBSCRIPTION_FEEDS, more_days=7)
    short = {file.path.relative_to(sample.folder): file.path.read_bytes() for file in sample.files[:-1]}
    same = [
        file.path.read_bytes() == short[file.path.relative_to(tmp_path / "longer")]
        for file in longer
        if file.path.relative_to(tmp_path / "longer") in short
    ]
    assert same.count(False) == 2, "the last, unfinished week of payments and viewing"
    other = write_sample(tmp_path / "other", users=2000, days=60, seed=2, feeds=["payments"])
    assert digest(other) != digest(ours)


def test_subscribers_are_accounts_and_pay_and_watch_while_they_are_subscribed(sample: Sample, company: Company) -> None:
    accounts = {user for extract in sample.extracts.values() for user in extract}
    listed = {user for extract in company.subscriber_extracts.values() for user in extract}
    assert 300 < len(listed) < 500
    assert len(listed - accounts) < len(listed) / 20
    assert {payment.user_id for payment in company.payments} <= listed
    assert {user for user, _, _ in company.viewings} <= listed
    ever = defaultdict(list)
    for extract in company.subscription_extracts.values():
        for key, user, start, end, _ in extract.values():
            ever[user].append((key, start, end))
    assert all(any(start <= day for _, start, _ in ever[user]) for user, day, _ in company.viewings)
    days = {day for _, day, _ in company.viewings}
    assert days == {FIRST_DAY + timedelta(days=number) for number in range((LAST_DAY - FIRST_DAY).days + 1)}


def test_subscriptions_change_end_vanish_and_come_again(company: Company) -> None:
    extracts = [company.subscription_extracts[day] for day in sorted(company.subscription_extracts)]
    prices, users = defaultdict(set), Counter(row[1] for row in extracts[-1].values())
    for extract in extracts:
        for key, row in extract.items():
            prices[key].add(row[4])
    assert sum(len(each) > 1 for each in prices.values()) > 5
    assert sum(row[3] is not None for row in extracts[-1].values()) > 30
    assert prices.keys() - extracts[-1].keys()
    assert max(users.values()) == 2
    refunds = [payment for payment in company.payments if payment.amount < 0]
    assert 2 < len(refunds) < len(company.payments) / 20


def test_users_of_good_channels_pay_more(sample: Sample, company: Company) -> None:
    came_by = {str(row["user_id"]): str(row["utm_source"]) for file in sample.files for row in _events(file)}
    payers = {payment.user_id for payment in company.payments if payment.amount > 0}
    sources = {"ORGANIC SEARCH": "organic_search", "REFERRAL": "referral", "IMPRESSION": "display"}
    sources["PAID SOCIAL"] = "meta_ads"
    shares = []
    for media in (GOOD, POOR):
        users = {user for user, source in came_by.items() if source in {sources[medium] for medium in media}}
        shares.append(len(users & payers) / len(users))
    assert shares[0] > shares[1] + 0.1


def _events(file: WrittenFile) -> list[dict[str, str]]:
    return [row for row in records(file) if row["user_id"]] if file.feed == "events" else []

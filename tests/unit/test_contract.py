"""A contract's faults are found, and said so that whoever wrote the file can mend it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from growth.settings import PROJECT_ROOT
from ingest.contract import CsvFormat
from ingest.contract_files import load_contracts
from ingest.errors import ContractError

VALID = """\
feed: visits
domain: web
description: Visits.
event_time: visited_at
user: user_id
key: [user_id, visited_at]
cadence: daily
freshness: {warn_after_days: 2, error_after_days: 7}
max_reject_rate: 0.05
columns:
  - {name: user_id, type: bigint, nullable: false, description: Who.}
  - {name: visited_at, type: timestamptz, nullable: false, description: When.}
  - {name: device, type: text, nullable: true, description: With what., accepted_values: [phone, desktop]}
"""


SUBSCRIPTION = ("subscribers", "payments", "subscriptions", "viewing_activity")


def write(folder: Path, text: str, place: str = "web/visits.yml") -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fault(folder: Path, text: str, place: str = "web/visits.yml") -> str:
    path = write(folder, text, place)
    with pytest.raises(ContractError) as raised:
        load_contracts(folder)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_valid_contract(tmp_path: Path) -> None:
    write(tmp_path, VALID)
    contract = load_contracts(tmp_path)["visits"]
    assert contract.column_names == ("user_id", "visited_at", "device")
    assert contract.column("device").accepted_values == ("phone", "desktop")
    assert contract.user_identity == "web"


def test_identity_may_differ_from_domain(tmp_path: Path) -> None:
    write(tmp_path, VALID + "identity: person\n")
    assert load_contracts(tmp_path)["visits"].user_identity == "person"


def test_contracts_are_sorted_by_feed(tmp_path: Path) -> None:
    write(tmp_path, VALID)
    write(tmp_path, VALID.replace("feed: visits", "feed: app_visits"), "web/app_visits.yml")
    assert list(load_contracts(tmp_path)) == ["app_visits", "visits"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "type: bigint",
            "type: int8",
            "columns[0].type: 'int8' is not accepted;"
            " accepted values: text, bigint, integer, numeric, boolean, date, timestamptz",
        ),
        (
            "cadence: daily",
            "cadence: nightly",
            "cadence: 'nightly' is not accepted; accepted values: hourly, daily, weekly, monthly, irregular",
        ),
        ("cadence: daily\n", "", "cadence: is missing; accepted values: hourly,"),
        ("cadence: daily", "cadense: daily", "cadense: unknown key; accepted keys: feed, domain, description"),
        ("With what.,", "With what., pii: true,", "columns[2].pii: unknown key; accepted keys: name, type, nullable"),
        ("{warn_after_days: 2,", "{warn: 2,", "freshness.warn: unknown key; accepted keys: warn_after_days,"),
        ("warn_after_days: 2", "warn_after_days: 9", "freshness.error_after_days: must not be below warn_after_days"),
        ("warn_after_days: 2", "warn_after_days: 0", "freshness.warn_after_days: input should be greater than 0"),
        ("max_reject_rate: 0.05", "max_reject_rate: 5", "max_reject_rate: input should be less than or equal to 1"),
        ("event_time: visited_at", "event_time: at", "event_time: 'at' is no column; columns: user_id, visited_at"),
        (
            "event_time: visited_at",
            "event_time: user_id",
            "event_time: column 'user_id' is of type bigint; accepted values: date, timestamptz",
        ),
        (
            "timestamptz, nullable: false",
            "timestamptz, nullable: true",
            "event_time: column 'visited_at' must not be nullable",
        ),
        ("user: user_id", "user: userid", "user: 'userid' is no column; columns: user_id, visited_at, device"),
        ("key: [user_id, visited_at]", "key: [user_id, when_at]", "key[1]: 'when_at' is no column"),
        ("key: [user_id, visited_at]", "key: []", "key: tuple should have at least 1 item"),
        ("name: device", "name: user_id", "columns: 'user_id' is there twice"),
        ("name: device", "name: 'dev; drop'", "columns[2].name: 'dev; drop' is no safe name"),
        ("name: device", "name: _load_id", "columns[2].name: '_load_id' is no safe name"),
        ("name: device", "name: user", "columns[2].name: 'user' is a reserved word of SQL"),
        ("[phone, desktop]", "[yes, no]", "columns[2].accepted_values[0]: input should be a valid string, not True"),
        ("[phone, desktop]", "[phone, phone]", "columns[2].accepted_values: listed twice: phone"),
        ("description: Who.", "description: Who., accepted_values: ['1']", "only a column of type text"),
        (
            "nullable: false, description: Who.",
            "nullable: 'no', description: Who.",
            "columns[0].nullable: input should",
        ),
        ("domain: web", "domain: web\ndomain: app", "key 'domain' is there twice"),
        ("domain: web", "domain: [web", "is no valid YAML"),
        ("feed: visits", "feed: visits_load_3", "feed: a name that ends in _load_<number>"),
        ("feed: visits", "feed: visits_load_3_12", "feed: a name that ends in _load_<number>"),
        ("event_time: visited_at\n", "", "event_time: is missing; only a feed with delivery full_extract has none"),
        ("domain: web", "domain: web\ndelivery: full_extract", "event_time: a full_extract has none"),
        (
            "domain: web",
            "domain: web\ndelivery: upsert",
            "delivery: 'upsert' is not accepted; accepted values: append, replace, full_extract",
        ),
        (
            "domain: web",
            "domain: web\nafter_load: delete",
            "after_load: 'delete' is not accepted; accepted values: keep, archive",
        ),
        (
            "domain: web",
            "domain: web\nretention: {archive_days: 9}",
            "retention: archive_days needs after_load: archive",
        ),
        (
            "domain: web",
            "domain: web\nretention: {days: 9}",
            "retention.days: unknown key; accepted keys: archive_days, raw_days",
        ),
        ("domain: web", "domain: web\nretention: {}", "retention.archive_days: is missing, and so is raw_days"),
        ("domain: web", "domain: web\nretention: {raw_days: 0}", "retention.raw_days: input should be greater than 0"),
        (
            "event_time: visited_at\n",
            "delivery: full_extract\nretention: {raw_days: 400}\n",
            "retention: raw_days is for feeds whose rows have an event_time: the history of a full_extract is built"
            " from all of its extracts; remove this key",
        ),
        ("With what.,", "With what., max_length: 0,", "columns[2].max_length: input should be greater than 0, not 0"),
        (
            "With what.,",
            "With what., max_length: 5,",
            "columns[2].max_length: accepted_values has longer ones: desktop",
        ),
        ("description: Who.", "description: Who., max_length: 9", "columns[0].max_length: only a column of type text"),
        (
            "description: Who.",
            "description: Who., format: DD",
            "columns[0].format: only a column of these types may have one: date, timestamptz",
        ),
        (
            "With what.,",
            "With what., min: 0,",
            "columns[2].min: only a column of these types may have one: numeric, integer, bigint",
        ),
        ("description: Who.", "description: Who., min: .nan", "columns[0].min: input should be a finite number"),
        (
            "With what.,",
            "With what., max: 0,",
            "columns[2].max: only a column of these types may have one: numeric, integer, bigint",
        ),
        ("description: Who.", "description: Who., min: 1, max: 0.5", "columns[0].max: must not be below min"),
        (
            "description: Who.",
            "description: Who., references: {feed: people, field: id}",
            "columns[0].references.field: unknown key; accepted keys: feed, column",
        ),
        (
            "description: Who.",
            "description: Who., references: {feed: people, column: user_id}",
            "columns[0].references.feed: unknown feed: people; there are: visits",
        ),
        (
            "description: Who.",
            "description: Who., references: {feed: visits, column: visitor}",
            "columns[0].references.column: unknown column of visits: visitor; there are: user_id, visited_at, device",
        ),
        ("description: When.", "description: When., format: ''", "columns[1].format: string should have at least 1"),
        ("With what.,", "With what., aliases: [' '],", "columns[2].aliases: an alias must not be blank"),
        (
            "With what.,",
            "With what., aliases: [' USER_ID '],",
            "columns: alias ' USER_ID ' of 'device' is also a name or an alias of 'user_id'",
        ),
        (
            "description: When.}\n  - {",
            "description: When., aliases: [Gadget]}\n  - {aliases: [gadget], ",
            "columns: alias 'gadget' of 'device' is also a name or an alias of 'visited_at'",
        ),
    ],
)
def test_fault_names_key_and_accepted_values(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in VALID
    assert expected in fault(tmp_path, VALID.replace(old, new, 1))


def test_personal_columns_are_of_a_user(tmp_path: Path) -> None:
    text = VALID.replace("user: user_id\n", "").replace("With what.,", "With what., personal: true,")
    assert "user: is missing, but device is personal" in fault(tmp_path, text)


def test_what_a_contract_need_not_say(tmp_path: Path) -> None:
    write(tmp_path, VALID.replace("max_reject_rate: 0.05\n", ""))
    contract = load_contracts(tmp_path)["visits"]
    assert contract.csv == CsvFormat()
    assert (contract.csv.delimiter, contract.csv.quote, contract.csv.header) == (",", '"', True)
    assert (contract.csv.nulls, contract.csv.encoding, contract.csv.date_order) == (("",), "utf-8", "YMD")
    assert (contract.delivery, contract.after_load, contract.max_reject_rate) == ("replace", "keep", 0.05)
    column = contract.column("device")
    assert (column.aliases, column.max_length, column.format) == ((), None, None)
    assert (contract.time_column, contract.time_type, contract.has_extract_date) == ("visited_at", "timestamptz", False)


def test_everything_that_a_contract_may_say(tmp_path: Path) -> None:
    csv = '{delimiter: "\\t", quote: "\'", header: false, nulls: ["", NA, \'\\N\'], encoding: cp1252, date_order: DMY}'
    text = VALID.replace("When.", "When., format: 'DD Mon YYYY HH24:MI', aliases: [Visited At, visited_at]")
    text = text.replace("With what.,", "With what., max_length: 7, personal: true, aliases: [gadget],")
    write(
        tmp_path,
        f"{text}delivery: append\nafter_load: archive\nretention: {{archive_days: 90, raw_days: 400}}\ncsv: {csv}\n",
    )
    contract = load_contracts(tmp_path)["visits"]
    assert contract.csv == CsvFormat(
        delimiter="\t", quote="'", header=False, nulls=("", "NA", "\\N"), encoding="cp1252", date_order="DMY"
    )
    assert (contract.delivery, contract.after_load) == ("append", "archive")
    assert (contract.archive_days, contract.raw_days) == (90, 400)
    assert contract.column("visited_at").format == "DD Mon YYYY HH24:MI"
    assert contract.column("visited_at").aliases == ("Visited At", "visited_at")
    assert contract.column("device").max_length == 7
    assert contract.personal_columns == ("user_id", "device")


def test_full_extract_is_dated_by_its_extract(tmp_path: Path) -> None:
    write(tmp_path, VALID.replace("event_time: visited_at\n", "delivery: full_extract\n"))
    contract = load_contracts(tmp_path)["visits"]
    assert contract.event_time is None
    assert (contract.time_column, contract.time_type, contract.has_extract_date) == ("_extract_date", "date", True)


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        ("{delimiter: ''}", "csv.delimiter: '' is not accepted; accepted: one ASCII punctuation mark"),
        ("{delimiter: ';;'}", "csv.delimiter: ';;' is not accepted"),
        ("{delimiter: '\\t'}", 'a tab is "\\t", in double quotes'),
        ("{delimiter: '\\'}", "csv.delimiter: '\\\\' is not accepted"),
        ("{delimiter: '.'}", "csv.delimiter: '.' is not accepted"),
        ('{delimiter: "\\n"}', "csv.delimiter: '\\n' is not accepted"),
        ("{delimiter: x}", "csv.delimiter: 'x' is not accepted"),
        ("{delimiter: '0'}", "csv.delimiter: '0' is not accepted"),
        ("{delimiter: §}", "csv.delimiter: '§' is not accepted"),
        ("{quote: q}", "csv.quote: 'q' is not accepted"),
        ("{quote: ','}", "csv.quote: must differ from delimiter, both are ','"),
        (
            "{quotes: ','}",
            "csv.quotes: unknown key; accepted keys: delimiter, quote, header, nulls, encoding, date_order",
        ),
        ("{header: 'no'}", "csv.header: input should be a valid boolean, not 'no'"),
        ("{nulls: []}", "csv.nulls: tuple should have at least 1 item"),
        ("{nulls: [null]}", "csv.nulls[0]: input should be a valid string, not None"),
        ("{nulls: [NA, NA]}", "csv.nulls: 'NA' is there twice"),
        ("{nulls: ['n,a']}", "csv.nulls: 'n,a' must hold no delimiter"),
        ("{encoding: utf8x}", "csv.encoding: 'utf8x' is no text encoding that Python knows; accepted values: utf-8,"),
        ("{encoding: base64}", "csv.encoding: 'base64' is no text encoding"),
        ("{encoding: undefined}", "csv.encoding: 'undefined' is no text encoding"),
        ('{encoding: "a\\0"}', "csv.encoding: 'a\\x00' is no text encoding"),
        ("{date_order: YDM}", "csv.date_order: 'YDM' is not accepted; accepted values: YMD, DMY, MDY"),
        ("semicolon", "csv: input should be a valid dictionary"),
    ],
)
def test_csv_fault(tmp_path: Path, csv: str, expected: str) -> None:
    assert expected in fault(tmp_path, f"{VALID}csv: {csv}\n")


@pytest.mark.parametrize("encoding", ["utf-16", "UTF8", "utf-8-sig", "latin-1", "cp1252", "shift_jis", "cp037"])
def test_text_encodings(encoding: str) -> None:
    assert CsvFormat(encoding=encoding).encoding == encoding


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    write(tmp_path, "[]\n", "web/list.yml")
    message = fault(tmp_path, VALID.replace("type: bigint", "type: int8").replace("cadence: daily", "cadence: x"))
    for expected in ("list.yml", "must be a mapping with the keys feed, domain", "columns[0].type", "cadence: 'x'"):
        assert expected in message


def test_path_must_say_domain_and_feed(tmp_path: Path) -> None:
    assert "say that this file is web/visits.yml" in fault(tmp_path, VALID, "app/visits.yml")


def test_hidden_file_is_no_contract(tmp_path: Path) -> None:
    write(tmp_path, VALID)
    write(tmp_path, VALID[:50], "web/.part-0a1b2c3d.visits.yml")
    assert list(load_contracts(tmp_path)) == ["visits"]


def test_one_contract_per_feed(tmp_path: Path) -> None:
    write(tmp_path, VALID, "app/visits.yml")
    message = fault(tmp_path, VALID.replace("domain: web", "domain: web"))
    assert "feed: 'visits' is already described by app/visits.yml" in message


def test_a_feed_whose_file_is_wrong_is_not_called_none(tmp_path: Path) -> None:
    write(tmp_path, VALID.replace("description: Who.", "description: Who., references: {feed: people, column: id}"))
    people = VALID.replace("feed: visits", "feed: people").replace("name: user_id", "name: id")
    message = fault(tmp_path, people, "web/people.yml")
    assert "user: 'user_id' is no column" in message
    assert "visits.yml" not in message
    write(tmp_path, people.replace("user_id", "id"), "web/people.yml")
    assert list(load_contracts(tmp_path)) == ["people", "visits"]


def test_rows_that_are_referred_to_stay_in_raw(tmp_path: Path) -> None:
    text = VALID.replace("domain: web", "domain: web\nretention: {raw_days: 400}")
    write(tmp_path, text)
    assert load_contracts(tmp_path)["visits"].raw_days == 400
    write(tmp_path, text.replace("Who.", "Who., references: {feed: visits, column: user_id}"))
    expected = "columns[0].references.feed: rows of visits leave raw (its retention.raw_days), and would not be found"
    with pytest.raises(ContractError, match=re.escape(expected)):
        load_contracts(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no such folder"):
        load_contracts(tmp_path / "none")


def test_contracts_of_the_repository() -> None:
    contracts = load_contracts(PROJECT_ROOT / "ingest" / "feeds")
    shapes = {
        feed: [(column.name, column.type, column.nullable) for column in contracts[feed].columns]
        for feed in (*("sessions", "conversions"), *SUBSCRIPTION)
    }
    assert shapes == {
        "sessions": [
            ("userid", "bigint", False),
            ("time_started", "timestamptz", False),
            ("is_paid", "boolean", False),
            ("medium", "text", True),
        ],
        "conversions": [("userid", "bigint", False), ("registration_time", "timestamptz", False)],
        "subscribers": [
            ("user_id", "text", False),
            ("country", "text", True),
            ("signup_date", "date", True),
            ("plan_type", "text", True),
        ],
        "payments": [
            ("payment_id", "text", False),
            ("user_id", "text", False),
            ("payment_date", "date", False),
            ("amount", "numeric", False),
            ("currency_code", "text", True),
        ],
        "subscriptions": [
            ("subscription_id", "text", False),
            ("user_id", "text", False),
            ("start_date", "date", False),
            ("end_date", "date", True),
            ("monthly_price", "numeric", False),
        ],
        "viewing_activity": [
            ("user_id", "text", False),
            ("watch_date", "date", False),
            ("hours_watched", "numeric", False),
        ],
    }
    assert {contract.user_identity for contract in contracts.values()} == {"customer"}
    assert {feed for feed, contract in contracts.items() if contract.currency == "USD"} == {"payments", "subscriptions"}

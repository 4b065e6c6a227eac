"""A raw table follows its contract where no value is lost or made up, and says why where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from growth.settings import Warehouse
from growth.warehouse import initialise
from ingest.contract import Contract
from ingest.ddl import ensure_raw
from ingest.errors import RawSchemaMismatchError
from ingest.migrate import migrate

COLUMNS: dict[str, tuple[str, bool]] = {  # type, nullable
    "user_id": ("integer", False),
    "visited_at": ("timestamptz", False),
    "signed_up": ("date", True),
    "device": ("text", True),
    "pages": ("bigint", False),
}


def contract(**changes: Any) -> Contract:
    """The contract with other columns (a type and nullable; None: without it) or, with a capital, other keys."""
    columns = {name: shape for name, shape in (COLUMNS | changes).items() if name.islower()}
    keys = {name.lower(): value for name, value in changes.items() if not name.islower()}
    return Contract.model_validate(
        {
            **{"feed": "visits", "domain": "web", "description": "Visits.", "event_time": "visited_at"},
            **{"user": "user_id", "key": ["user_id"], "cadence": "daily"},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
            "columns": [
                {"name": name, "type": shape[0], "nullable": shape[1], "description": "…", **dict(shape[2:])}
                for name, shape in columns.items()
                if shape is not None
            ],
            **keys,
        }
    )


class Raw:
    """A raw table of the first contract; every connection is the warehouse's owner."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.ensure(contract())

    def ensure(self, changed: Contract, role: str | None = None) -> list[str]:
        """Migrate in a session that writes and reads times in a way of its own, and must not notice."""
        with psycopg.connect(self.warehouse.conninfo(role)) as conn:
            conn.execute("set timezone = 'America/New_York'; set datestyle = 'German'")
            lines = ensure_raw(conn, {"visits": changed})
            settings = "select current_setting('timezone'), current_setting('datestyle'), current_setting('role')"
            assert conn.execute(settings).fetchone() == ("America/New_York", "German, DMY", "none")
            return lines

    def refusal(self, changed: Contract, role: str | None = None) -> str:
        before = self.shape()
        with pytest.raises(RawSchemaMismatchError) as raised:
            self.ensure(changed, role)
        assert self.shape() == before
        assert str(raised.value).startswith("raw.visits cannot follow its contract web/visits.yml:\n  ")
        assert "To start over: unload every file of visits" in str(raised.value)
        return str(raised.value)

    def run(self, *statements: str, role: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last."""
        with psycopg.connect(self.warehouse.conninfo(role)) as conn:
            conn.execute("set growth.load_id = 1")
            for statement in statements:
                cursor = conn.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def shape(self, table: str = "raw.visits") -> dict[str, tuple[str, bool]]:
        return {
            name: (kind, not required)
            for name, kind, required in self.run(
                "select attname, replace(format_type(atttypid, null), 'timestamp with time zone', 'timestamptz'),"
                f" attnotnull from pg_attribute where attrelid = '{table}'::regclass and attnum > 0"
                " and not attisdropped and attname <> '_load_id'"
            )
        }

    def fill(self, table: str = "raw.visits", device: str = "'phone'", signed_up: str = "'2024-01-01'") -> None:
        self.run(
            f"insert into {table} (user_id, visited_at, signed_up, device, pages, _load_id)"
            f" values (7, '2024-01-02 03:04:05+00', {signed_up}, {device}, 3, 1)"
        )

    def add_child(self, name: str, parent: str = "raw.visits") -> None:
        self.run(
            f"create table raw.{name} (like {parent} including defaults); alter table raw.{name} owner to ingest;"
            f" alter table raw.{name} inherit {parent}"
        )


@pytest.fixture
def raw(warehouse: Warehouse) -> Raw:
    initialise(warehouse, {})
    return Raw(warehouse)


def everywhere(raw: Raw, look: Callable[[dict[str, tuple[str, bool]]], Any]) -> list[Any]:
    return [look(raw.shape(f"raw.{table}")) for table in ("visits", "visits_load_1_0", "_removed_visits", "child_gone")]


@pytest.fixture
def full(raw: Raw) -> Raw:
    """Rows in the table, in a child of it, in the table of removed rows, and in a child of that."""
    raw.add_child("visits_load_1_0")
    raw.add_child("child_gone", "raw._removed_visits")
    for table in ("visits", "visits_load_1_0", "_removed_visits", "child_gone"):
        raw.fill(f"raw.{table}")
    return raw


def test_same_contract_changes_nothing(full: Raw) -> None:
    assert full.ensure(contract()) == []
    with psycopg.connect(full.warehouse.conninfo()) as conn:
        assert migrate(conn, contract()) == []


def test_rows_that_came_before_a_check_stay(full: Raw) -> None:
    """As in a warehouse of a release that took dates of no calendar."""
    full.run(
        "alter table raw.visits drop constraint signed_up_range",
        "update raw.visits set signed_up = '-infinity'",
    )
    assert full.ensure(contract()) == []
    assert full.run("select distinct signed_up::text from only raw.visits") == [("-infinity",)]
    with pytest.raises(psycopg.errors.CheckViolation, match="signed_up_range"):
        full.fill("raw.visits", signed_up="'-infinity'")


def test_nullable_column_is_added_everywhere(full: Raw) -> None:
    assert "raw.visits: added column browser (text)" in full.ensure(contract(browser=("text", True)))
    assert everywhere(full, lambda shape: shape["browser"]) == [("text", True)] * 4
    assert full.run("select distinct browser from raw.visits") == [(None,)]


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("user_id", "bigint", "7"),
        ("user_id", "numeric", "7"),
        ("pages", "numeric", "3"),
        ("pages", "text", "3"),
        ("signed_up", "text", "2024-01-01"),
        ("signed_up", "timestamptz", "2024-01-01 00:00:00+00"),
    ],
)
def test_column_is_widened_everywhere(full: Raw, name: str, kind: str, text: str) -> None:
    old, nullable = COLUMNS[name]
    lines = full.ensure(contract(**{name: (kind, nullable)}))
    assert f"raw.visits: changed {name} from {old} to {kind}" in lines
    assert everywhere(full, lambda shape: shape[name]) == [(kind, nullable)] * 4
    utc = "set timezone = 'UTC'; set datestyle = 'ISO'"
    assert full.run(utc, f"select distinct {name}::text from raw.visits") == [(text,)]
    assert full.run(utc, f"select distinct {name}::text from raw._removed_visits") == [(text,)]


def test_number_becomes_text(full: Raw) -> None:
    """Whose check, that it be finite, says nothing of texts."""
    full.ensure(contract(pages=("numeric", True)))
    full.ensure(contract(pages=("text", True)))
    assert everywhere(full, lambda shape: shape["pages"]) == [("text", True)] * 4
    full.run("update raw.visits set pages = 'NaN'")


def test_time_becomes_text_in_utc(full: Raw) -> None:
    full.ensure(contract(ended_at=("timestamptz", True)))
    full.run("update raw.visits set ended_at = '2024-01-01 12:00:00+00'")
    full.ensure(contract(ended_at=("text", True)))
    assert full.run("select distinct ended_at from raw.visits") == [("2024-01-01 12:00:00+00",)]


def test_required_column_becomes_nullable_everywhere(full: Raw) -> None:
    assert "raw.visits: pages is nullable now" in full.ensure(contract(pages=("bigint", True)))
    assert everywhere(full, lambda shape: shape["pages"]) == [("bigint", True)] * 4


def test_nullable_column_becomes_required_where_no_row_lacks_it(full: Raw) -> None:
    assert "raw.visits: device is required now" in full.ensure(contract(device=("text", False)))
    assert everywhere(full, lambda shape: shape["device"]) == [("text", False)] * 4


@pytest.mark.parametrize("table", ["visits", "visits_load_1_0", "_removed_visits", "child_gone"])
def test_nullable_column_with_nulls_cannot_become_required(full: Raw, table: str) -> None:
    full.fill(f"raw.{table}", device="null")
    parent = "raw._removed_visits" if table in ("_removed_visits", "child_gone") else "raw.visits"
    expected = f"device: {parent} has rows without it, so it cannot become required: keep it nullable"
    assert expected in full.refusal(contract(device=("text", False)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"device": None}, "device: is not in the contract, and its values would be lost: keep it there as text"),
        ({"browser": ("text", False)}, "browser: is new and required, but the rows of before have no value for it"),
        ({"pages": ("integer", False)}, "pages: bigint cannot become integer without loss: keep the type bigint or"),
        ({"pages": ("boolean", False)}, "keep the type bigint or take numeric or take text"),
        ({"device": ("date", True)}, "device: text cannot become date without loss: keep the type text\n"),
        ({"visited_at": ("date", False)}, "visited_at: is the event time, by whose days its rows are counted"),
        (
            {"Event_time": "signed_up", "signed_up": ("date", False), "browser": ("text", True)},
            "event_time: its rows are counted by the days of visited_at: keep event_time: visited_at",
        ),
        (
            {"Delivery": "full_extract", "Event_time": None},
            "delivery: the rows of before have no extract date, as a full_extract needs: keep delivery as it was\nTo",
        ),
    ],
)
def test_what_would_lose_or_invent_values_is_refused(full: Raw, changes: dict[str, Any], expected: str) -> None:
    assert expected in full.refusal(contract(**changes))


def test_full_extracts_cannot_become_another_delivery(raw: Raw) -> None:
    full_extract = contract(Delivery="full_extract", Event_time=None)
    raw.ensure(full_extract)
    raw.run("insert into raw.visits (user_id, visited_at, pages, _extract_date) values (7, now(), 3, '2024-01-01')")
    message = raw.refusal(contract())
    assert "keep delivery: full_extract" in message
    assert "event_time" not in message


def test_all_faults_are_told_at_once(full: Raw) -> None:
    message = full.refusal(contract(device=None, pages=("integer", False), browser=("text", False)))
    assert [line.split(":")[0] for line in message.splitlines()[1:-1]] == ["  pages", "  browser", "  device"]


@pytest.mark.parametrize("table", ["visits_load_1_0", "_removed_visits"])
def test_rows_elsewhere_count_too(raw: Raw, table: str) -> None:
    raw.add_child("visits_load_1_0")
    raw.fill(f"raw.{table}")
    assert "device: is not in the contract" in raw.refusal(contract(device=None))


def test_table_without_rows_follows_any_contract(raw: Raw) -> None:
    raw.add_child("visits_load_1_0")
    raw.ensure(contract(device=("text", True, ("max_length", 9))))
    changed = contract(
        **{"device": ("integer", False), "pages": None, "browser": ("text", False), "visited_at": ("date", False)}
    )
    lines = raw.ensure(changed)
    assert "raw.visits: dropped column pages" in lines
    expected = {
        **{"user_id": ("integer", False), "visited_at": ("date", False), "signed_up": ("date", True)},
        **{"device": ("integer", False), "browser": ("text", False)},
    }
    assert raw.shape() == raw.shape("raw._removed_visits") == expected
    raw.run("insert into raw.visits (user_id, visited_at, device, browser) values (7, '2024-01-01', 3, 'x')")
    with pytest.raises(psycopg.errors.CheckViolation):
        raw.run("insert into raw.visits (user_id, visited_at, device, browser) values (7, 'infinity', 3, 'x')")


def test_table_without_rows_may_get_another_event_time(raw: Raw) -> None:
    lines = raw.ensure(contract(Event_time="signed_up", signed_up=("date", False)))
    assert "raw.visits: event time is signed_up, no longer visited_at" in lines
    indexed = "select pg_get_indexdef('raw._visits_by_time'::regclass)"
    assert "(signed_up, _load_id)" in raw.run(indexed)[0][0]


def test_table_without_rows_may_become_full_extracts_and_back(raw: Raw) -> None:
    raw.ensure(contract(Delivery="full_extract", Event_time=None))
    assert raw.shape()["_extract_date"] == raw.shape("raw._removed_visits")["_extract_date"] == ("date", False)
    raw.ensure(contract())
    assert raw.shape() == COLUMNS


def make_views(raw: Raw) -> None:
    raw.run(
        "create view staging.stg_web__visits as select user_id as visitor, pages from raw.visits",
        "create view dwh.visitors as select distinct visitor from staging.stg_web__visits",
        "create view staging.devices as select device from raw.visits",
        role="transform",
    )


def views(raw: Raw) -> list[str]:
    # one that is ours (_newest_days) is there always
    query = "select viewname from pg_views where schemaname in ('staging', 'dwh') and viewname !~ '^_' order by 1"
    return [name for (name,) in raw.run(query)]


def test_views_of_a_rebuilt_column_are_dropped_and_told(full: Raw) -> None:
    make_views(full)
    assert full.ensure(contract(user_id=("bigint", False)))[:2] == [
        "dwh.visitors: dropped this view, the next dbt run makes it again",
        "staging.stg_web__visits: dropped this view, the next dbt run makes it again",
    ]
    assert views(full) == ["devices"]


def test_views_stay_where_no_column_is_rebuilt(full: Raw) -> None:
    make_views(full)
    full.ensure(contract(browser=("text", True), pages=("bigint", True)))
    assert views(full) == ["devices", "stg_web__visits", "visitors"]


def test_views_of_others_are_not_dropped(full: Raw) -> None:
    make_views(full)
    full.run("create schema mine", "create view mine.own as select visitor from staging.stg_web__visits")
    message = full.refusal(contract(user_id=("bigint", False)))
    assert "mine.own depends on user_id and no dbt run makes it again: drop it" in message
    assert views(full) == ["devices", "stg_web__visits", "visitors"]


def test_materialised_views_are_not_dropped(full: Raw) -> None:
    full.run("create materialized view staging.kept as select user_id from raw.visits", role="transform")
    assert "staging.kept depends on user_id" in full.refusal(contract(user_id=("bigint", False)))


def test_other_dependents_are_told(full: Raw) -> None:
    full.run(
        "create view staging.stg_web__visits as select user_id as visitor from raw.visits",
        "create function staging.newest() returns int language sql"
        " begin atomic select max(visitor) from staging.stg_web__visits; end",
        role="transform",
    )
    assert "staging.newest()" in full.refusal(contract(user_id=("bigint", False)))


def test_role_that_may_not_drop_the_views_is_told(full: Raw) -> None:
    make_views(full)
    message = full.refusal(contract(user_id=("bigint", False)), role="ingest")
    assert "permission denied" in message
    assert "dwh.visitors depends on user_id: " in message


def test_next_contract_works_after_a_refused_one(full: Raw) -> None:
    full.refusal(contract(device=None, browser=("text", True)))
    full.ensure(contract(browser=("text", True)))
    assert full.shape() == COLUMNS | {"browser": ("text", True)}

"""A warehouse with its raw tables, and a landing folder beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.pipeline import Beginnings, Pipeline
from support.receivers import Hook, webhook
from support.steady import steady_days

from growth.settings import Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.load import LARGE_FILE_BYTES, load_feed
from ingest.results import LoadResult

SESSIONS_HEADER = "userid,time_started,is_paid,medium"
CONVERSIONS_HEADER = "userid,registration_time"
HEADERS = {"sessions": SESSIONS_HEADER, "conversions": CONVERSIONS_HEADER}


@dataclass
class LoadBench:
    """Drops files into a landing folder, loads them, and looks at what is in the warehouse then."""

    warehouse: Warehouse
    landing: Path
    contracts: dict[str, Contract]

    def land(self, source_file: str, *records: str, header: str | None = None) -> Path:
        """Write a file of records below the feed's header."""
        path = self.landing / source_file
        path.parent.mkdir(parents=True, exist_ok=True)
        header = HEADERS[source_file.split("/")[0]] if header is None else header
        path.write_text("".join(f"{line}\n" for line in (header, *records)))
        return path

    def load(self, feed: str = "sessions", **options: Any) -> list[LoadResult]:
        """Load a feed as the role ``ingest``."""
        options = {"run_id": "test", "large_file_bytes": LARGE_FILE_BYTES} | options
        return load_feed(self.warehouse.conninfo("ingest"), self.contracts[feed], self.landing, **options)

    def rows(self, query: str, role: str | None = None) -> list[tuple[Any, ...]]:
        """Result of a query, as the owner or another role."""
        with psycopg.connect(self.warehouse.conninfo(role)) as conn:
            return conn.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]

    def value(self, query: str, role: str | None = None) -> Any:
        """The one value of a query."""
        ((value,),) = self.rows(query, role)
        return value

    def changed_days(self, load_id: int | None) -> list[str]:
        """Days that a load says it changed."""
        return [
            day
            for (day,) in self.rows(
                f"select event_date::text from raw._changed_days where load_id = {load_id} order by event_date"
            )
        ]

    def load_tables(self, parent: str = "raw.sessions") -> int:
        """Tables of large loads that belong to a feed, or to the rows that were taken out of it."""
        return int(self.value(f"select count(*) from pg_inherits where inhparent = '{parent}'::regclass"))

    def load_names(self) -> list[str]:
        """Tables of large loads of sessions, attached or not."""
        query = "select relname from pg_class where relname like 'sessions_load_%' and relkind = 'r' order by 1"
        return [name for (name,) in self.rows(query)]

    def removed(self) -> list[tuple[str, int]]:
        """Users of the sessions that loads took out, and the load that did it."""
        return self.rows(
            "select userid, loads.removed_by from raw._removed_sessions"
            " join raw._loads as loads on load_id = _load_id order by userid, time_started"
        )

    def change_contract(self, feed: str = "sessions", *, column: str | None = None, **changes: Any) -> Contract:
        """Edit the contract of a feed, or one of its columns, and bring the warehouse in line with it."""
        contract = self.contracts[feed]
        edited = contract.model_dump()
        if column is None:
            edited |= changes
        else:
            edited["columns"] = [known | changes if known["name"] == column else known for known in edited["columns"]]
        self.contracts[feed] = Contract.model_validate(edited)
        initialise(self.warehouse, self.contracts)
        return self.contracts[feed]


@pytest.fixture
def bench(warehouse: Warehouse, tmp_path: Path) -> LoadBench:
    contracts = load_contracts(feeds_folder())
    initialise(warehouse, contracts)
    landing = tmp_path / "landing"
    landing.mkdir()
    return LoadBench(warehouse, landing, contracts)


@pytest.fixture
def feeds_that_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts of which rows of sessions leave raw after four days."""
    folder = tmp_path / "feeds"
    shutil.copytree(feeds_folder(), folder)
    contract = folder / "acquisition" / "sessions.yml"
    contract.write_text(contract.read_text().replace("key: ", "retention: {raw_days: 4}\nkey: ", 1))
    monkeypatch.setenv("GROWTH_FEEDS", str(folder))


@pytest.fixture
def steady(pipeline: Pipeline, beginnings: Beginnings) -> Pipeline:
    """Sixty steady days, built and published."""
    return beginnings.begin(pipeline, "steady", lambda: steady_days(pipeline))


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A webhook that takes the alerts."""
    with webhook() as hook:
        monkeypatch.setenv("GROWTH_WEBHOOK_URL", hook.url)
        yield hook

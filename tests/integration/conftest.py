"""A warehouse with its raw tables, and a landing folder beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from growth.settings import Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract import Contract, load_contracts
from ingest.load import LARGE_FILE_BYTES, LoadResult, load_feed

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

    def load_tables(self) -> int:
        """Tables of large loads."""
        return int(self.value("select count(*) from pg_inherits where inhparent = 'raw.sessions'::regclass"))


@pytest.fixture
def bench(warehouse: Warehouse, tmp_path: Path) -> LoadBench:
    contracts = load_contracts(feeds_folder())
    initialise(warehouse, contracts)
    landing = tmp_path / "landing"
    landing.mkdir()
    return LoadBench(warehouse, landing, contracts)

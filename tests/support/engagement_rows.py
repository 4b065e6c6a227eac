"""A landing folder of engagement that grows by one row at a time, for cases worked out by hand."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from golden.engagement_oracle import Expected, calculate

COLUMNS = {
    "events": "event_time,user_id,event_type,transaction_category,miles_amount,platform,utm_source,country",
    "app_events": "event_id,user_id,product,event_type,event_timestamp,session_id,duration_seconds,device,country",
}
MONDAY = date(2024, 1, 1)


class Landing:
    """A landing folder that grows by one row at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, list[dict[str, Any]]] = {"events": [], "app_events": []}

    def miles(self, at: date | str, user: str = "", **columns: Any) -> None:
        self.rows["events"].append({"event_time": str(at), "user_id": user, "event_type": "miles_earned", **columns})

    def app(self, at: date | str, user: str = "", product: str = "threads", **columns: Any) -> None:
        row = {"event_id": len(self.rows["app_events"]), "user_id": user, "product": product, "event_type": "view"}
        self.rows["app_events"].append({**row, "event_timestamp": str(at), **columns})

    def days(self, user: str, *numbers: int, **columns: Any) -> None:
        """One miles event on each of these days after the Monday."""
        for number in numbers:
            self.miles(day(number), user, **columns)

    def write(self) -> Path:
        for feed, header in COLUMNS.items():
            (self.folder / feed).mkdir(exist_ok=True)
            with (self.folder / feed / "all.csv").open("w", newline="") as target:
                writer = csv.DictWriter(target, header.split(","))
                writer.writeheader()
                writer.writerows(self.rows[feed])
        return self.folder

    def calculate(self) -> Expected:
        return calculate(self.write())


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)

"""A feed that delivers the same every day, so that what differs is found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.pipeline import Pipeline

START = datetime(2024, 1, 1, tzinfo=UTC)
PER_DAY = 120
HISTORY = 60


def sessions(day: int, count: int = PER_DAY) -> list[str]:
    """One day's sessions, each of another user; the same channels every day."""
    begin = START + timedelta(days=day)
    media = ("DIRECT", "PAID SEARCH", "EMAIL")
    return [
        f"{number},{begin + timedelta(minutes=number)},{'true' if number % 2 else 'false'},{media[number % 3]}"
        for number in range(count)
    ]


def land(pipeline: Pipeline, name: str, days: dict[int, int]) -> None:
    """Land and load a file with so many sessions of each day."""
    lines = [line for day, count in days.items() for line in sessions(day, count)]
    pipeline.land("sessions", name, lines)
    pipeline.load()


def steady_days(pipeline: Pipeline) -> Pipeline:
    """Sixty steady days, built and published."""
    land(pipeline, "history.csv", dict.fromkeys(range(HISTORY), PER_DAY))
    pipeline.land("conversions", "a.csv", [f"{user},{START + timedelta(days=2)}" for user in range(50)])
    return pipeline.run()

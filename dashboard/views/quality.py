"""Data quality: what was loaded, refused, checked and published."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.panel import Page
from dashboard.queries import overview, quality

COLORS = {"pass": "#228833", "warn": "#CCBB44", "fail": "#EE6677", "error": "#AA3377", "skipped": "#BBBBBB"}


def draw(page: Page) -> None:
    """Loads, rejects, gates, publications."""
    left, right = st.columns(2)
    with left:
        page.panel(
            "Records loaded per day and feed",
            quality.LOADS,
            lambda rows: charts.bars_by(
                rows.assign(day=rows["load_date"].astype(str)), "day", "loaded_count", "feed", "records"
            ),
            key="loads",
            columns=("loaded_count", "rejected_count"),
            note="By the day of the load, the last 90 days with loads.",
        )
    with right:
        page.panel(
            "Rejected records by reason",
            quality.REJECTS,
            lambda rows: charts.bars_by(rows, "reason", "record_count", "feed", "records"),
            key="rejects",
            columns=("reason", "record_count", "waiting_count"),
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Gate history: checks of the last 30 runs",
            quality.GATE_HISTORY,
            gate_bars,
            key="gate_history",
            columns=("status",),
        )
    with right:
        page.panel(
            "Time that each gate of the newest run took",
            quality.GATE_SECONDS,
            lambda rows: charts.ranked(rows, "gate", "duration_seconds", "seconds"),
            key="gate_seconds",
            columns=("gate", "duration_seconds"),
        )
    page.panel(
        "What the checks of the newest run found",
        quality.FINDINGS,
        lambda rows: rows,
        key="findings",
        columns=("status", "failing_row_count", "kept_in"),
    )
    page.panel(
        "Freshness: newest load of each feed",
        overview.FRESHNESS,
        lambda rows: rows,
        key="freshness",
        columns=("finished_at", "loaded_count", "status"),
    )
    page.panel(
        "Refused files",
        quality.REFUSED,
        lambda rows: rows,
        key="refused",
        columns=("status", "error"),
    )
    page.panel(
        "Publications",
        quality.PUBLICATIONS,
        lambda rows: rows,
        key="publications",
        columns=("published_at", "as_of_date", "is_rollback"),
    )


def gate_bars(rows: pd.DataFrame) -> charts.Figure:
    """A bar for each run, in the colours of what its checks found."""
    rows = rows.assign(run=rows["checked_at"].map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"))
    return charts.bars_by(rows, "run", "check_count", "status", "checks", colors=COLORS)

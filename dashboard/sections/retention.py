"""Who stays."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.filters import choose, select_period, spoken
from dashboard.panel import Page
from dashboard.queries import engagement

TYPES = {"on_day": "on the day", "on_or_after": "on the day or later", "bracket": "since the day number before it"}
SEGMENTS = ("country", "platform", "channel", "user_segment", "age_group", "gender")


def draw(page: Page) -> None:
    """The triangle of cohorts, the curve over periods, N-day retention."""
    period = select_period("week", "month")
    page.panel(
        f"Retention by {period} of the first event",
        engagement.COHORTS,
        lambda rows: triangle(rows, period),
        key="retention",
        columns=("cohort_size", "retained_user_count", "retention_rate", "is_complete"),
        note="Share of the cohort that is active, the users beside its date. *: the period is not loaded whole.",
        period_type=period,
    )
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Retention curve over all cohorts, by {period}s since the first event",
            engagement.COHORTS,
            lambda rows: charts.lines(curve(rows), "period_offset", {"rate": "retained"}, charts.PERCENT),
            key="retention_curve",
            columns=("retention_rate", "is_complete"),
            note="Whole periods only, each cohort by its size.",
            period_type=period,
        )
    with right:
        page.panel(
            "N-day retention",
            engagement.NDAY,
            lambda rows: charts.lines_by(
                rows.assign(kind=rows["retention_type"].map(TYPES)), "day_number", "retention_rate", "kind", "%"
            ),
            key="nday",
            columns=("day_number", "retention_type", "eligible_user_count", "retention_rate"),
        )
    segment = choose("segment", "Segment", SEGMENTS, format_func=spoken)
    page.panel(
        f"N-day retention, on the day or later, by {segment.replace('_', ' ')}",
        engagement.NDAY_SEGMENTS,
        lambda rows: charts.lines_by(rows, "day_number", "retention_rate", "segment_value", charts.PERCENT),
        key="nday_segments",
        columns=("segment_value", "retention_rate"),
        segment_type=segment,
    )


def triangle(rows: pd.DataFrame, period: str) -> charts.Figure:
    """A cell for each cohort and period since, with the share that is active."""
    shares = charts.starred((f"{rate:.0%}" for rate in rows["retention_rate"]), rows["is_complete"])
    counts = [
        f"{retained:,} of {size:,} users, {share}"
        for retained, size, share in zip(rows["retained_user_count"], rows["cohort_size"], shares, strict=True)
    ]
    cohorts = [
        f"{start:%Y-%m-%d} ({size:,})" if period == "week" else f"{start:%Y-%m} ({size:,})"
        for start, size in zip(rows["cohort_start"], rows["cohort_size"], strict=True)
    ]
    return charts.heatmap(
        rows.assign(cohort=cohorts),
        "period_offset",
        "cohort",
        "retention_rate",
        shares,
        charts.PERCENT,
        x_title=f"{period}s since the first event",
        hover=counts,
    )


def curve(rows: pd.DataFrame) -> pd.DataFrame:
    """Retained users of all cohorts over their sizes, where the period is loaded whole."""
    whole = rows[rows["is_complete"]]
    sums = whole.groupby("period_offset", as_index=False)[["retained_user_count", "cohort_size"]].sum()
    return sums.assign(rate=sums["retained_user_count"] / sums["cohort_size"])

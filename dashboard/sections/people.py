"""Who the users are, and where."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, world
from dashboard.filters import choose, spoken
from dashboard.panel import Page
from dashboard.queries import engagement

MONTH = "Newest whole month of the date range, else its newest."
SEGMENTS = ("age_group", "gender", "user_segment", "country", "platform")


def draw(page: Page) -> None:
    """Segments of the newest month, and a map."""
    segment = choose("people", "Segment", SEGMENTS, format_func=spoken)
    name = segment.replace("_", " ")
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Monthly active users by {name}",
            engagement.SEGMENTS,
            lambda rows: charts.ranked(rows, "segment_value", "active_user_count", "users", complete="is_complete"),
            key="segments",
            columns=("segment_value", "active_user_count"),
            note=f"{MONTH} Hatched: it is not loaded whole.",
            segment_type=segment,
        )
    with right:
        page.panel(
            f"Events per active user by {name}",
            engagement.SEGMENTS,
            lambda rows: charts.ranked(
                rows, "segment_value", "events_per_user", "events per user", complete="is_complete"
            ),
            key="segment_events",
            columns=("segment_value", "events_per_user"),
            note=f"{MONTH} Hatched: it is not loaded whole.",
            segment_type=segment,
        )
    page.panel(
        "Monthly active users by country",
        engagement.COUNTRIES,
        lambda rows: world.map_of(rows, "country", "active_user_count", "users", complete="is_complete"),
        key="countries",
        columns=("country", "active_user_count"),
        note=f"{MONTH} *: it is not loaded whole. Countries that are no ISO 3166 code are in the CSV only.",
    )

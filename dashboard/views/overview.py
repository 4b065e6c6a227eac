"""Overview: headline numbers against the period before, and whether they can be trusted today."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.filters import currency
from dashboard.headlines import headline
from dashboard.panel import Page
from dashboard.queries import acquisition, engagement, overview
from dashboard.query import Query

# label, query, column that it is made of, period, how it is written, parameters
HEADLINES: tuple[tuple[str, Query, str, str, str, dict[str, str]], ...] = (
    ("DAU, 7-day average", overview.DAILY_AVERAGE, "active_user_count_7d_average", "day", "count", {}),
    ("Weekly active users", overview.ACTIVE_USERS, "active_user_count", "week", "count", {"period_type": "week"}),
    ("Monthly active users", overview.ACTIVE_USERS, "active_user_count", "month", "count", {"period_type": "month"}),
    ("Stickiness, 28 days", overview.STICKINESS, "stickiness_28d", "day", "percent", {}),
    ("Weekly quick ratio", overview.QUICK_RATIO, "quick_ratio", "week", "ratio", {}),
    ("Weekly retention", overview.GROSS_RETENTION, "gross_retention_rate", "week", "percent", {}),
    ("Weekly registrations", overview.REGISTRATIONS, "registration_count", "week", "count", {}),
)


def draw(page: Page) -> None:
    """Headline numbers, then what they are made of."""
    published = page.published
    money = currency(published)
    gates = page.rows(overview.GATES)
    with st.container(horizontal=True, gap="small"):
        st.badge(f"Data up to {published.as_of_date}", icon=":material/event:")
        st.badge(f"Published {published.published_at:%Y-%m-%d %H:%M} UTC", icon=":material/publish:")
        if gates and gates.records:
            _, _, passed, warned, failed = gates.records[0]
            if failed:
                st.badge(f"Gates: {failed} checks failed", icon=":material/error:", color="red")
            elif warned:
                st.badge(f"Gates: {passed} passed, {warned} warned", icon=":material/warning:", color="orange")
            else:
                st.badge(f"Gates: all {passed} checks passed", icon=":material/check:", color="green")
    with st.container(horizontal=True):
        for label, query, column, period, style, parameters in HEADLINES:
            headline(page, label, query, column, period, style=style, **parameters)
        month = {"currency_code": money}
        headline(page, f"Revenue, {money}", overview.REVENUE, "revenue_amount", "month", **month)
        headline(page, f"MRR, {money}", overview.MRR, "closing_mrr_amount", "month", **month)
    st.caption("The newest whole week or month of the date range against the one before; hover for its dates.")
    left, right = st.columns(2)
    with left:
        page.panel(
            "Active users in 1, 7 and 28 days",
            engagement.ROLLING,
            lambda rows: charts.lines(
                rows,
                "as_of_date",
                {
                    "active_user_count_7d_average": "1 day, 7-day average",
                    "active_users_7d": "7 days",
                    "active_users_28d": "28 days",
                },
                "users",
                complete="is_complete_window_28d",
            ),
            key="overview_active_users",
            columns=("active_users_1d", "active_users_7d", "active_users_28d", "is_complete_window_28d"),
            note="Dotted: days whose 28 days are not all loaded.",
        )
    with right:
        page.panel(
            "Where weekly active users come from, and who went",
            engagement.GROWTH,
            charts.growth,
            key="overview_growth",
            columns=("new_user_count", "retained_user_count", "resurrected_user_count", "churned_user_count"),
            period_type="week",
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Registrations per week by channel",
            acquisition.DAILY,
            lambda rows: charts.bars_by(
                rows, "period_start", "registration_count", "channel", "registrations", complete="is_complete"
            ),
            key="overview_registrations",
            columns=("registration_count",),
            period_type="week",
        )
    with right:
        page.panel(
            "Newest load of each feed",
            overview.FRESHNESS,
            lambda rows: rows,
            key="overview_freshness",
            columns=("finished_at", "loaded_count"),
        )

"""How many are active, and where they come from."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.filters import select_period
from dashboard.panel import Page
from dashboard.queries import engagement

TITLES = {
    "day": "Daily active users (DAU)",
    "week": "Weekly active users (WAU)",
    "month": "Monthly active users (MAU)",
}


def draw(page: Page) -> None:
    """Active users, rolling windows, stickiness."""
    period = select_period("day", "week", "month", key="activity_period", default="day")
    page.panel(
        TITLES[period],
        engagement.ACTIVE_USERS,
        lambda rows: charts.bars(
            rows, "period_start", {"active_user_count": "active users"}, "users", complete="is_complete"
        ),
        key="active_users",
        columns=("active_user_count", "is_complete"),
        period_type=period,
    )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Users active in the last 1, 7, 28 and 30 days",
            engagement.ROLLING,
            lambda rows: charts.lines(
                rows,
                "as_of_date",
                {
                    "active_users_1d": "1 day",
                    "active_user_count_7d_average": "1 day, 7-day average",
                    "active_users_7d": "7 days",
                    "active_users_28d": "28 days",
                    "active_users_30d": "30 days",
                },
                "users",
                complete="is_complete_window_30d",
                thin=("active_users_1d",),
            ),
            key="rolling_active_users",
            columns=("active_users_7d", "active_users_28d", "active_users_30d", "is_complete_window_30d"),
            note="Dotted: days whose 30 days are not all loaded.",
        )
    with right:
        page.panel(
            "Stickiness: share of the window's users who are active on the day",
            engagement.STICKINESS,
            lambda rows: charts.lines(
                rows,
                "as_of_date",
                {"stickiness_7d": "of 7 days", "stickiness_28d": "of 28 days", "stickiness_30d": "of 30 days"},
                charts.PERCENT,
                complete="is_complete_window_30d",
            ),
            key="stickiness",
            columns=("stickiness_7d", "stickiness_28d", "stickiness_30d"),
            note="Dotted: days whose 30 days are not all loaded.",
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Events per {period}",
            engagement.ACTIVE_USERS,
            lambda rows: charts.bars(rows, "period_start", {"event_count": "events"}, "events", complete="is_complete"),
            key="events",
            columns=("event_count", "is_complete"),
            period_type=period,
        )
    with right:
        page.panel(
            "Daily active users of each product, 7-day average",
            engagement.PRODUCTS,
            lambda rows: charts.lines_by(rows, "activity_date", "active_user_count_7d_average", "product", "users"),
            key="products",
            columns=("active_user_count_7d_average",),
        )


def draw_growth(page: Page) -> None:
    """Growth accounting and its ratios."""
    period = select_period("day", "week", "month")
    page.panel(
        f"Where the active users of each {period} come from, and who went",
        engagement.GROWTH,
        charts.growth,
        key="growth",
        columns=(
            "new_user_count",
            "retained_user_count",
            "resurrected_user_count",
            "churned_user_count",
            "is_complete",
        ),
        period_type=period,
    )
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Quick ratio per {period}",
            engagement.GROWTH,
            lambda rows: charts.lines(
                rows, "period_start", {"quick_ratio": "quick ratio"}, "gained per lost user", complete="is_complete"
            ),
            key="quick_ratio",
            columns=("quick_ratio",),
            note="Above 1 the product grows.",
            period_type=period,
        )
    with right:
        page.panel(
            f"Retained users of the {period} before",
            engagement.GROWTH,
            lambda rows: charts.lines(
                rows,
                "period_start",
                {"gross_retention_rate": "gross retention", "net_churn_rate": "net churn"},
                charts.PERCENT,
                complete="is_complete",
            ),
            key="gross_retention",
            columns=("gross_retention_rate", "net_churn_rate"),
            period_type=period,
        )

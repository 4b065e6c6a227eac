"""How much, in which order, and in which products."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.panel import Page
from dashboard.queries import engagement

NOT_WHOLE = "Hatched: the 28 days are not all loaded."


def draw(page: Page) -> None:
    """Power users, concentration, scores."""
    left, right = st.columns(2)
    with left:
        page.panel(
            "Power-user curve (L28): users by active days of the last 28",
            engagement.POWER_USERS,
            lambda rows: charts.bars(
                rows, "active_day_count", {"user_count": "users"}, "users", complete="is_complete_window_28d"
            ),
            key="power_users",
            columns=("as_of_date", "active_day_count", "user_count"),
            note=f"On the newest day, or month end, of the date range. {NOT_WHOLE}",
        )
    with right:
        page.panel(
            "Concentration: share of the events of 28 days that the most active users make",
            engagement.CONCENTRATION,
            lambda rows: charts.ranked(
                rows.assign(top=[f"top {each} %" for each in rows["top_percent"]]),
                "top",
                "event_rate",
                charts.PERCENT,
                complete="is_complete_window_28d",
            ),
            key="concentration",
            columns=("top_percent", "event_rate"),
            note=NOT_WHOLE,
        )
    page.panel(
        "Engagement score (0-100) of the users active in 28 days, by segment",
        engagement.SCORES,
        lambda rows: charts.bars_by(
            rows.sort_values("score_bucket").assign(score=lambda frame: frame["score_bucket"].map(_tenth)),
            "score",
            "user_count",
            "user_segment",
            "users",
            complete="is_complete_window_28d",
        ),
        key="scores",
        columns=("score_bucket", "user_segment"),
        note=NOT_WHOLE,
    )


def draw_funnel(page: Page) -> None:
    """A funnel for each product."""
    page.panel(
        "Funnel: share of the users of the first step who come to each step",
        engagement.FUNNEL,
        _funnels,
        key="funnel",
        columns=("step_name", "user_count", "step_conversion_rate", "overall_conversion_rate"),
        note="In brackets: users.",
    )
    page.panel(
        "Median time since the step before",
        engagement.FUNNEL,
        lambda rows: charts.bars_by(
            rows[rows["step_number"] > 1], "step_name", "median_hours_from_previous", "product", "hours", grouped=True
        ),
        key="funnel_hours",
        columns=("step_name", "median_hours_from_previous"),
    )


def draw_products(page: Page) -> None:
    """Products side by side and together."""
    page.panel(
        "Events of each product per day",
        engagement.PRODUCTS,
        lambda rows: charts.bars_by(rows, "activity_date", "event_count", "product", "events"),
        key="product_events",
        columns=("event_count",),
    )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Users by number of products per month",
            engagement.CROSS_PRODUCT,
            lambda rows: charts.bars_by(
                rows, "period_start", "user_count", "product_count", "users", complete="is_complete"
            ),
            key="cross_product",
            columns=("product_count", "user_count"),
        )
    with right:
        page.panel(
            "Overlap: share of a product's users who also use another one",
            engagement.OVERLAP,
            _overlap,
            key="overlap",
            columns=("user_count", "rate_of_a", "rate_of_b"),
            note="Newest whole month of the date range, else its newest. *: it is not loaded whole.",
        )


def _funnels(rows: pd.DataFrame) -> charts.Figure:
    text = [
        f"{rate:.1%} ({users:,})"
        for rate, users in zip(rows["overall_conversion_rate"], rows["user_count"], strict=True)
    ]
    several = rows["product"].nunique() > 1
    names = rows["product"] + ": " + rows["step_name"] if several else rows["step_name"]
    return charts.ranked(rows.assign(step=names), "step", "overall_conversion_rate", charts.PERCENT, text)


def _overlap(rows: pd.DataFrame) -> charts.Figure:
    """Both directions of each pair: the share of the row's users."""
    turned = rows.rename(columns={"product_a": "product_b", "product_b": "product_a", "rate_of_b": "rate_of_a"})
    columns = ["product_a", "product_b", "user_count", "rate_of_a", "is_complete"]
    both = pd.concat([rows[columns], turned.loc[:, ~turned.columns.duplicated(keep="last")][columns]])
    return charts.heatmap(
        both,
        "product_b",
        "product_a",
        "rate_of_a",
        charts.starred((f"{rate:.0%}" for rate in both["rate_of_a"]), both["is_complete"]),
        charts.PERCENT,
        x_title="who also use",
        hover=[
            f"{rate:.1%}, {users:,} users" for rate, users in zip(both["rate_of_a"], both["user_count"], strict=True)
        ],
    )


def _tenth(bucket: int) -> str:
    return f"{bucket * 10}-{bucket * 10 + 10}"

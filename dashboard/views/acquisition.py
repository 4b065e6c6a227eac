"""Acquisition: which channel brings registrations, how fast, and how good they are."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.filters import choose, currency, offered, select_period, spoken
from dashboard.panel import Page
from dashboard.queries import acquisition, options

NOT_WHOLE = "Hatched: of some of them the 90 days are not loaded whole."


def draw(page: Page) -> None:
    """Attribution, volume, conversion, quality."""
    models = tuple(str(model) for (model,) in offered(options.MODELS, page.published)) or ("rule_based",)
    with st.container(horizontal=True):
        period = select_period("day", "week", "month")
        model = choose("model", "Attribution model", models, format_func=spoken)
    left, right = st.columns(2)
    with left:
        page.panel(
            "Attributed registrations per month",
            acquisition.ATTRIBUTION,
            lambda rows: charts.bars_by(
                rows, "registration_month", "registration_count", "channel", "registrations", complete="is_complete"
            ),
            key="attribution",
            columns=("attribution_model", "channel", "registration_count"),
            note=f"Model: {model.replace('_', ' ')}.",
            attribution_model=model,
        )
    with right:
        page.panel(
            "Share of each month's registrations",
            acquisition.ATTRIBUTION,
            lambda rows: charts.lines_by(
                rows, "registration_month", "registration_rate", "channel", charts.PERCENT, complete="is_complete"
            ),
            key="attribution_rate",
            columns=("registration_rate",),
            note=f"Model: {model.replace('_', ' ')}.",
            attribution_model=model,
        )
    page.panel(
        "Registrations per channel and attribution model",
        acquisition.MODELS,
        lambda rows: charts.bars_by(
            rows, "attribution_model", "registration_count", "channel", "registrations", grouped=True
        ),
        key="attribution_models",
        columns=("attribution_model", "registration_count"),
    )
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Sessions per {period} by channel",
            acquisition.DAILY,
            lambda rows: charts.bars_by(
                rows, "period_start", "session_count", "channel", "sessions", complete="is_complete"
            ),
            key="sessions",
            columns=("session_count",),
            period_type=period,
        )
    with right:
        page.panel(
            f"Registrations per {period} by channel",
            acquisition.DAILY,
            lambda rows: charts.bars_by(
                rows, "period_start", "registration_count", "channel", "registrations", complete="is_complete"
            ),
            key="registrations",
            columns=("registration_count",),
            period_type=period,
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Conversion rate by channel",
            acquisition.CONVERSION,
            lambda rows: charts.ranked(rows, "channel", "conversion_rate", charts.PERCENT),
            key="conversion",
            columns=("touched_user_count", "converted_user_count", "conversion_rate"),
        )
    with right:
        page.panel(
            "Time from first session to registration",
            acquisition.CONVERSION,
            lambda rows: charts.bars(
                rows,
                "channel",
                {
                    "hours_to_conversion_median": "median",
                    "hours_to_conversion_avg": "mean",
                    "hours_to_conversion_p90": "90th percentile",
                },
                "hours",
                grouped=True,
            ),
            key="conversion_hours",
            columns=("hours_to_conversion_median", "hours_to_conversion_avg", "hours_to_conversion_p90"),
        )
    money = currency(page.published)
    left, right = st.columns(2)
    with left:
        page.panel(
            "Channel quality: what became of those who registered",
            acquisition.QUALITY,
            lambda rows: charts.bars(
                shares(rows),
                "channel",
                {
                    "activated_user_count": "activated",
                    "retained_user_count_30d": "retained 30 days",
                    "paying_user_count": "paying",
                },
                charts.PERCENT,
                complete="is_complete",
                grouped=True,
            ),
            key="channel_quality",
            columns=("registered_user_count", "activated_user_count", "retained_user_count_30d", "paying_user_count"),
            note=NOT_WHOLE,
            currency_code=money,
        )
    with right:
        page.panel(
            f"Channel quality: revenue in 90 days per registered user, {money}",
            acquisition.QUALITY,
            lambda rows: charts.ranked(
                rows.assign(value=rows["revenue_amount_90d"] / rows["registered_user_count"]),
                "channel",
                "value",
                money,
                complete="is_complete",
            ),
            key="channel_revenue",
            columns=("revenue_amount_90d", "registered_user_count"),
            note=NOT_WHOLE,
            currency_code=money,
        )


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """What became of the users, as shares of them."""
    return rows.assign(
        **{
            name: rows[name] / rows["registered_user_count"]
            for name in ("activated_user_count", "retained_user_count_30d", "paying_user_count")
        }
    )

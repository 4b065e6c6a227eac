"""Revenue: what is paid, how recurring revenue moves, what cohorts bring."""

from __future__ import annotations

import dataclasses

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.filters import currency, select
from dashboard.panel import Page
from dashboard.queries import revenue

STEPS = {
    "new_mrr_amount": "new",
    "expansion_mrr_amount": "expansion",
    "reactivation_mrr_amount": "reactivation",
    "contraction_mrr_amount": "contraction",
    "churn_mrr_amount": "churn",
}
LOSSES = ("contraction_mrr_amount", "churn_mrr_amount")


def draw(page: Page) -> None:
    """Payments, recurring revenue, cohorts, in one currency."""
    with st.container(horizontal=True):
        money = currency(page.published)
        plan = select("plan", page.published, width=220)
    page = dataclasses.replace(page, view=dataclasses.replace(page.view, values={**page.view.values, "plan": plan}))
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Revenue per month, {money}",
            revenue.REVENUE,
            lambda rows: charts.bars(
                rows.assign(gross=rows["revenue_amount"] + rows["refund_amount"], refund_amount=-rows["refund_amount"]),
                "month_start",
                {"gross": "paid", "refund_amount": "refunded"},
                money,
                complete="is_complete",
            ),
            key="revenue",
            columns=("revenue_amount", "refund_amount", "is_complete"),
            currency_code=money,
        )
    with right:
        page.panel(
            f"Revenue per month by plan, {money}",
            revenue.PLANS,
            lambda rows: charts.bars_by(rows, "month_start", "revenue_amount", "plan", money, complete="is_complete"),
            key="revenue_plans",
            columns=("plan", "revenue_amount"),
            currency_code=money,
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Revenue per user, {money}",
            revenue.REVENUE,
            lambda rows: charts.lines(
                rows,
                "month_start",
                {"arpu_amount": "per active user (ARPU)", "arppu_amount": "per paying user (ARPPU)"},
                money,
                complete="is_complete",
            ),
            key="arpu",
            columns=("arpu_amount", "arppu_amount"),
            currency_code=money,
        )
    with right:
        page.panel(
            f"How MRR came from the first to the last month, {money}",
            revenue.MRR,
            lambda rows: mrr_bridge(rows, money),
            key="mrr_bridge",
            columns=("opening_mrr_amount", *STEPS, "closing_mrr_amount"),
            note="Hatched: the last month is not loaded whole.",
            currency_code=money,
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            f"MRR movements per month, {money}",
            revenue.MRR,
            lambda rows: charts.bars(movements(rows), "month_start", STEPS, money, complete="is_complete"),
            key="mrr_movements",
            columns=tuple(STEPS),
            currency_code=money,
        )
    with right:
        page.panel(
            "Subscribers at the end of each month",
            revenue.SUBSCRIBERS,
            lambda rows: charts.lines(
                rows, "month_start", {"closing_subscriber_count": "subscribers"}, "subscribers", complete="is_complete"
            ),
            key="subscribers",
            columns=("closing_subscriber_count",),
            currency_code=money,
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Subscriber churn rate per month",
            revenue.SUBSCRIBERS,
            lambda rows: charts.lines(
                rows, "month_start", {"subscriber_churn_rate": "churn rate"}, charts.PERCENT, complete="is_complete"
            ),
            key="subscriber_churn",
            columns=("churned_subscriber_count", "subscriber_churn_rate"),
            currency_code=money,
        )
    with right:
        page.panel(
            f"Lifetime value (LTV), {money}",
            revenue.SUBSCRIBERS,
            lambda rows: charts.lines(rows, "month_start", {"ltv_amount": "LTV"}, money, complete="is_complete"),
            key="ltv",
            columns=("ltv_amount",),
            currency_code=money,
        )
    page.panel(
        f"Cumulative revenue per user by month of first payment, {money}",
        revenue.COHORTS,
        lambda rows: cohort_cells(rows, money),
        key="revenue_cohorts",
        columns=("cohort_size", "cumulative_revenue_per_user_amount", "is_complete"),
        note="*: the month is not loaded whole.",
        currency_code=money,
    )


def movements(rows: pd.DataFrame) -> pd.DataFrame:
    """Losses as negative numbers."""
    return rows.assign(**{name: -rows[name] for name in LOSSES})


def mrr_bridge(rows: pd.DataFrame, money: str) -> charts.Figure:
    """From the opening of the first month to the closing of the last one."""
    steps = {"opening": float(rows["opening_mrr_amount"].iloc[0])}
    steps |= {label: float(movements(rows)[name].sum()) for name, label in STEPS.items()}
    steps["closing"] = float(rows["closing_mrr_amount"].iloc[-1])
    return charts.waterfall(steps, ("opening", "closing"), money, is_complete=bool(rows["is_complete"].iloc[-1]))


def cohort_cells(rows: pd.DataFrame, money: str) -> charts.Figure:
    """Cumulative revenue per user of each cohort."""
    value = rows["cumulative_revenue_per_user_amount"]
    cohorts = [
        f"{month:%Y-%m} ({size:,})" for month, size in zip(rows["cohort_month"], rows["cohort_size"], strict=True)
    ]
    return charts.heatmap(
        rows.assign(cohort=cohorts),
        "month_offset",
        "cohort",
        "cumulative_revenue_per_user_amount",
        charts.starred((f"{each:,.0f}" for each in value), rows["is_complete"]),
        money,
        x_title="months since the first payment",
        hover=[f"{each:,.2f} {money} per user" for each in value],
    )

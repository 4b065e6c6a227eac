"""Attrition: who went, who may go, and why that is thought."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.filters import select_period
from dashboard.panel import Page
from dashboard.queries import attrition

BANDS = {"low": charts.PALETTE[0], "medium": charts.PALETTE[3], "high": charts.PALETTE[1]}


def draw(page: Page) -> None:
    """Churn per period, then churn risk as of the newest day."""
    period = select_period("day", "week", "month")
    left, right = st.columns(2)
    with left:
        page.panel(
            f"Churned and resurrected users per {period}",
            attrition.CHURNED,
            lambda rows: charts.bars(
                rows.assign(churned_user_count=-rows["churned_user_count"]),
                "period_start",
                {"resurrected_user_count": "resurrected", "churned_user_count": "churned"},
                "users",
                complete="is_complete",
            ),
            key="churned",
            columns=("churned_user_count", "resurrected_user_count", "is_complete"),
            period_type=period,
        )
    with right:
        page.panel(
            f"Churn rate per {period}",
            attrition.CHURNED,
            lambda rows: charts.lines(
                rows,
                "period_start",
                {"gross_churn_rate": "gross (1 - retained)", "net_churn_rate": "net of the resurrected"},
                charts.PERCENT,
                complete="is_complete",
            ),
            key="churn_rate",
            columns=("gross_retention_rate", "net_churn_rate"),
            period_type=period,
        )
    left, right = st.columns(2)
    with left:
        page.panel(
            "Users by churn-risk band",
            attrition.BANDS,
            lambda rows: charts.bars_by(
                by_band(rows), "product", "user_count", "churn_risk_band", "users", colors=BANDS
            ),
            key="risk_bands",
            columns=("as_of_date", "churn_risk_band"),
        )
    with right:
        page.panel(
            "Churn-risk score",
            attrition.SCORES,
            lambda rows: charts.bars_by(
                by_band(rows).assign(score=rows["score_bucket"] / 20),
                "score",
                "user_count",
                "churn_risk_band",
                "users",
                colors=BANDS,
            ),
            key="risk_scores",
            columns=("churn_risk_score",),
        )
    page.panel(
        "What is behind the score: mean of each feature by band",
        attrition.FEATURES,
        lambda rows: rows,
        key="risk_features",
        columns=(
            *("recency_days", "frequency_28d", "event_count_7d", "event_count_28d", "tenure_days", "churn_risk_score"),
        ),
    )


def by_band(rows: pd.DataFrame) -> pd.DataFrame:
    """Bands in order of risk instead of the alphabet's."""
    return rows.assign(churn_risk_band=pd.Categorical(rows["churn_risk_band"], list(BANDS), ordered=True))

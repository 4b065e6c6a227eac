"""A headline number: its newest whole period, the change against the one before, and how it went."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from dashboard.panel import Page
from dashboard.query import Query

# two side by side on a phone, five on a desk
WIDTH = 163
STYLES = {"count": "{:,.0f}", "percent": "{:.1%}", "ratio": "{:.2f}"}


def headline(
    page: Page, label: str, query: Query, column: str, period: str, *, style: str = "count", **parameters: Any
) -> None:
    """Draw a number of a query whose rows are (period_start, value), newest first.

    Args:
        page: what the reader looks at.
        label: the metric.
        query: what it shows.
        column: the column of the query's first mart that it is made of.
        period: week or month: how far the rows are apart; ``day``: rows of single days, a week apart.
        style: count, percent or ratio.
        parameters: of the statement, beside the filters.
    """
    rows = page.rows(query, **parameters)
    definition = page.definition(query, [column])
    if without := page.without(query):
        definition += f"\n\nNot filtered by {', '.join(without)}."
    if not rows or not rows.records:
        reason = page.empty(query, is_absent=rows is None)
        st.metric(label, "none", border=True, width=WIDTH, help=f"{reason}\n\n{definition}")
        return
    values = [float(value) for _, value in rows.records[:2]]
    day = rows.records[0][0]
    st.metric(
        label,
        STYLES[style].format(values[0]),
        _change(values, style),
        border=True,
        width=WIDTH,
        help=f"{definition}\n\n{_dates(period, day)}",
    )


def _dates(period: str, day: date) -> str:
    if period == "day":
        return f"As of {day}; against 7 days earlier."
    return f"The newest whole {period}, which begins on {day}; against the {period} before."


def _change(values: list[float], style: str) -> str | None:
    """Relative, but for shares in points; None where there is no period before."""
    if len(values) < 2:
        return None
    if style == "percent":
        return f"{round((values[0] - values[1]) * 100, 1) or 0:+.1f} points"
    if not values[1]:
        return None
    return f"{values[0] / values[1] - 1:+.1%}"

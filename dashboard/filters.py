"""The reader's filters: in the sidebar of every page, and in its address, so that a view can be shared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Literal

import streamlit as st

from dashboard import source
from dashboard.queries import options
from dashboard.query import ALL, Query, View

LABELS = {
    "product": "Product",
    "country": "Country",
    "category": "Transaction category",
    "platform": "Platform",
    "plan": "Plan",
}
# of every page; the plan stands on the page that has plans
SIDEBAR = ("product", "country", "category", "platform")
# A year, the newest day included: weeks and months of a year ago stay in sight.
DEFAULT_DAYS = 366
# of a warehouse without any data
NO_DAY = date(2000, 1, 1)


def sidebar(published: source.Publication) -> View:
    """Draw the filters; what they offer comes from the marts."""
    first, last = span(published)
    with st.sidebar:
        st.subheader("Filters")
        chosen = st.date_input(
            "Date range (UTC)",
            value=(max(first, last - timedelta(days=DEFAULT_DAYS - 1)), last),
            min_value=first,
            max_value=last,
            format="YYYY-MM-DD",
            key="dates",
            bind="query-params",
        )
        values = {name: select(name, published) for name in SIDEBAR}
        st.caption("The address of the page holds the filters: copy it to share this view.")
    days = tuple(chosen) if isinstance(chosen, tuple | list) else (chosen,)
    if len(days) < 2:  # the reader has picked the first day, and not yet the second
        days = (days[0], last) if days else (first, last)
    return View(days[0], days[1], values)


def select_period(*periods: str, key: str = "period", default: str = "week") -> str:
    """Day, week or month; kept in the address, which leaves out the default: another default needs another key."""
    return choose(key, "Period", periods, default=default, format_func=spoken)


def choose(
    key: str,
    label: str,
    values: tuple[str, ...],
    *,
    default: str | None = None,
    format_func: Callable[[str], str] = str,
    label_visibility: Literal["visible", "collapsed"] = "visible",
) -> str:
    """One of a few values, the default (else the first) if none is chosen; kept in the address."""
    default = default or values[0]
    chosen = st.segmented_control(
        label,
        values,
        default=default,
        key=key,
        bind="query-params",
        required=True,
        format_func=format_func,
        label_visibility=label_visibility,
    )
    return chosen or default


def spoken(name: str) -> str:
    """A name of the warehouse as a reader writes it."""
    return name.replace("_", " ").capitalize()


def currency(published: source.Publication) -> str:
    """The currency of the amounts; asked for only where there are several."""
    codes = tuple(str(code) for (code,) in offered(options.CURRENCIES, published))
    if len(codes) > 1:
        return choose("currency", "Currency", codes)
    return codes[0] if codes else "USD"


def span(published: source.Publication) -> tuple[date, date]:
    """First day of the marts that have days; and their last one, or that of the publication, where a month goes on."""
    days = [day for row in offered(options.SPANS, published) for day in row if day is not None]
    newest = [published.as_of_date] if published.as_of_date else []
    return min(days or newest or [NO_DAY]), max([*days, *newest] or [NO_DAY])


def select(name: str, published: source.Publication, *, width: Literal["stretch"] | int = "stretch") -> str:
    """A value of a filter, ``all`` if none is chosen; kept in the address."""
    values = [value for (value,) in offered(options.VALUES[name], published)]
    return str(
        st.selectbox(
            LABELS[name],
            [ALL, *values],
            format_func=lambda value: "All" if value == ALL else str(value),
            key=name,
            bind="query-params",
            width=width,
        )
    )


def offered(queries: tuple[Query, ...], published: source.Publication) -> list[tuple[Any, ...]]:
    """Distinct rows of those queries whose marts exist, in order."""
    known = source.comments(published)
    asked = (query for query in queries if set(query.marts) <= set(known))
    return sorted({row for query in asked for row in source.fetch(query, {}, published).records}, key=str)

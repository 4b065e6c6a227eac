"""A chart with everything around it: title, definition, what does not apply, CSV, what to land when it is empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.io
import streamlit as st

from dashboard import charts, source
from dashboard.filters import LABELS, spoken
from dashboard.query import DATES, Query, View

# mart → feeds that it needs; what is not listed follows from runs, not from files
FEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("channel_attribution", "channel_conversion", "acquisition_daily"), ("sessions", "conversions")),
    **dict.fromkeys(
        (
            *("active_users", "rolling_active_users", "growth_accounting", "retention_cohorts", "nday_retention"),
            *("power_user_curve", "engagement_concentration", "engagement_funnel", "cross_product_usage"),
            *("product_overlap", "usage_daily", "user_lifetimes", "churn_risk"),
        ),
        ("events", "app_events"),
    ),
    **dict.fromkeys(("segment_usage", "engagement_distribution"), ("events", "app_events", "app_users")),
    "monthly_revenue": ("payments", "subscribers", "viewing_activity"),
    "mrr_movements": ("subscriptions",),
    "revenue_retention": ("payments",),
    "channel_quality": ("sessions", "conversions", "events", "payments"),
}
CONFIG = {"displayModeBar": False, "displaylogo": False, "topojsonURL": "app/static/"}
Draw = Callable[[pd.DataFrame], charts.Figure | pd.DataFrame]
# Streamlit's own would become a part of every figure; dashboard/charts.py says why there is none.
plotly.io.templates.default = None


@dataclass(frozen=True, slots=True)
class Page:
    """What every panel of a page needs."""

    published: source.Publication
    view: View

    def rows(self, query: Query, **parameters: Any) -> source.Rows | None:
        """Rows of a query as the reader filters it; None where a mart of it does not exist."""
        if not set(query.marts) <= set(source.comments(self.published)):
            return None
        bound, _ = query.bind(self.view)
        return source.fetch(query, bound | parameters, self.published)

    def panel(
        self,
        title: str,
        query: Query,
        draw: Draw,
        *,
        key: str,
        columns: Sequence[str] = (),
        note: str = "",
        **parameters: Any,
    ) -> None:
        """Draw a chart, or say why there is none.

        Args:
            title: the metric, with its unit or grain.
            query: what it shows.
            draw: rows → figure, or a frame to be shown as a table.
            key: its name in downloads and tests.
            columns: columns of the query's first mart that the definition explains.
            note: what a reader must know to read it.
            parameters: of the statement, beside the filters.
        """
        with st.container(border=True, key=f"panel_{key}"):
            rows = self.rows(query, **parameters)
            with st.container(horizontal=True, vertical_alignment="top", wrap=False):
                st.markdown(f"**{title}**", help=self.definition(query, columns), width="stretch")
                if rows and rows.records:
                    st.download_button(
                        "CSV",
                        rows.csv,
                        file_name=f"{key}.csv",
                        mime="text/csv",
                        key=f"csv_{key}",
                        on_click="ignore",
                        type="tertiary",
                        icon=":material/download:",
                        help="Download the rows of this chart",
                    )
            if rows is None or not rows.records:
                st.info(self.empty(query, is_absent=rows is None), icon=":material/inbox:")
            else:
                drawn = draw(rows.frame())
                if isinstance(drawn, pd.DataFrame):
                    st.dataframe(_readable(drawn), hide_index=True, key=f"table_{key}")
                else:
                    st.plotly_chart(drawn, theme=None, config=CONFIG, key=f"chart_{key}")
            remarks = [note] if note else []
            if without := self.without(query):
                remarks.append(f"Not filtered by {', '.join(without)}.")
            if remarks:
                st.caption(" ".join(remarks))

    def definition(self, query: Query, columns: Sequence[str]) -> str:
        """Text of the descriptions that dbt keeps in the database."""
        mart = query.marts[0]
        described = source.comments(self.published).get(mart, {})
        lines = [described.get("", ""), *(f"- `{name}`: {described[name]}" for name in columns if described.get(name))]
        marts = ", ".join(f"`mart.{each}`" for each in query.marts)
        return "\n".join([*filter(None, lines), f"\nSource: {marts}"])

    def empty(self, query: Query, *, is_absent: bool) -> str:
        """Why there is nothing to see, and what to land."""
        feeds = list(dict.fromkeys(feed for mart in query.marts for feed in FEEDS.get(mart, ())))
        counts = source.row_counts(self.published)
        has_none = is_absent or any(mart in FEEDS and not counts.get(mart) for mart in query.marts)
        if has_none and feeds:
            folders = ", ".join(f"`landing/{feed}/`" for feed in feeds)
            return f"No data yet. Land files in {folders}, then run `growth run`."
        return "Nothing in this selection." if feeds else "None so far."

    def without(self, query: Query) -> list[str]:
        """The reader's filters that do not apply."""
        _, ignored = query.bind(self.view)
        names = [LABELS[name].lower() for name in ignored]
        return names if query.has_dates else [*names, DATES]


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Times to the minute, names as a reader writes them."""
    times = {name: frame[name].dt.strftime("%Y-%m-%d %H:%M") for name in frame.select_dtypes("datetimetz").columns}
    return frame.assign(**times).rename(columns=spoken)

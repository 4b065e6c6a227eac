"""Entry of the dashboard: the pages, and the filters that all of them share. Started by ``growth dashboard``.

A page is a parameter of the address, like the filters: they stay when the page changes, and the browser asks for
nothing at addresses that do not exist, as it does for pages with a path of their own.
"""

from __future__ import annotations

import psycopg
import psycopg_pool
import streamlit as st

from dashboard import filters, source
from dashboard.panel import Page
from dashboard.views import acquisition, attrition, engagement, overview, quality, revenue

PAGES = {
    "Overview": overview.draw,
    "Acquisition": acquisition.draw,
    "Engagement": engagement.draw,
    "Attrition": attrition.draw,
    "Revenue": revenue.draw,
    "Data quality": quality.draw,
}
STYLE = """
<style>
[data-testid="stMainBlockContainer"] {padding: 4.5rem 1.5rem 2rem;}
[data-testid="stMetricLabel"] p {white-space: normal;}
.stPlotlyChart :is(.xaxislayer-above, .yaxislayer-above, .infolayer) text, .stPlotlyChart .bartext-outside {
    fill: currentColor !important; fill-opacity: 0.8 !important;
}
.stPlotlyChart .spikeline {stroke: currentColor !important; stroke-width: 1px !important; stroke-opacity: 0.5;}
.stPlotlyChart :is(.gridlayer, .zerolinelayer) path {stroke: currentColor !important; stroke-opacity: 0.15 !important;}
</style>
"""


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="Growth Analytics", layout="wide")
    st.html(STYLE)
    name = filters.choose("page", "Page", tuple(PAGES), label_visibility="collapsed")
    try:
        published = source.publication()
        if not published.publication_id:
            st.info("Nothing has been published yet. Land files, then run `growth run`.", icon=":material/inbox:")
            return
        PAGES[name](Page(published, filters.sidebar(published)))
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout):
        st.error("The warehouse does not answer. Is it running (`growth up`, `docker compose ps`)?")


main()

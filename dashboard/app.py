"""Entry of the dashboard: the pages, and the filters that all of them share. Started by ``growth dashboard``."""

from __future__ import annotations

from pathlib import Path

import psycopg
import psycopg_pool
import streamlit as st

from dashboard import filters, source
from dashboard.panel import Page

PAGES = (
    ("overview", "Overview", ":material/monitoring:"),
    ("acquisition", "Acquisition", ":material/campaign:"),
    ("engagement", "Engagement", ":material/groups:"),
    ("attrition", "Attrition", ":material/person_off:"),
    ("revenue", "Revenue", ":material/payments:"),
    ("quality", "Data quality", ":material/verified:"),
)
FOLDER = Path(__file__).parent / "pages"


def main() -> None:
    """Draw the page of the address."""
    st.set_page_config(page_title="Growth Analytics", page_icon=":material/monitoring:", layout="wide")
    page = st.navigation(
        [
            st.Page(FOLDER / f"{name}.py", title=title, icon=icon, url_path=name, default=name == "overview")
            for name, title, icon in PAGES
        ],
        position="top",
    )
    try:
        published = source.publication()
        if not published.publication_id:
            st.info("Nothing has been published yet. Land files, then run `growth run`.", icon=":material/inbox:")
            return
        st.session_state["page"] = Page(published, filters.sidebar(published))
        page.run()
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout):
        st.error("The warehouse does not answer. Is it running (`growth up`, `docker compose ps`)?")


main()

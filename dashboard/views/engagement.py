"""Engagement: who is active, who stays, how much, where. Sections, so that a page draws what is looked at."""

from __future__ import annotations

from dashboard.filters import choose
from dashboard.panel import Page
from dashboard.sections import activity, depth, people, retention

SECTIONS = {
    "Activity": activity.draw,
    "Growth": activity.draw_growth,
    "Retention": retention.draw,
    "Depth": depth.draw,
    "Funnel": depth.draw_funnel,
    "Products": depth.draw_products,
    "People": people.draw,
}


def draw(page: Page) -> None:
    """Draw the section that the reader chose."""
    SECTIONS[choose("section", "Section", tuple(SECTIONS))](page)

"""A dashboard in this process, over a warehouse of a test's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import streamlit as st
from streamlit.proto.DownloadButton_pb2 import DownloadButton
from streamlit.testing.v1 import AppTest

from dashboard import panel, source
from dashboard.queries import acquisition, attrition, engagement, options, overview, quality, revenue
from dashboard.query import Query
from growth.settings import PROJECT_ROOT
from support.pipeline import Pipeline

APP = str(PROJECT_ROOT / "dashboard" / "app.py")
SECTIONS = ("Activity", "Growth", "Retention", "Depth", "Funnel", "Products", "People")
ADDRESSES: tuple[dict[str, str], ...] = (
    {"page": "Overview"},
    {"page": "Acquisition"},
    *({"page": "Engagement", "section": section} for section in SECTIONS),
    {"page": "Attrition"},
    {"page": "Revenue"},
    {"page": "Data quality"},
)
MODULES = (acquisition, attrition, engagement, options, overview, quality, revenue)
GATES = """
insert into mart.gate_results
(run_id, gate, check_name, kind, tag, severity, status, failing_row_count, duration_seconds)
values
    ('r1', 'raw', 'a', 'k', 'critical', 'error', 'pass', 0, 1),
    ('r1', 'mart', 'b', 'k', 'critical', 'error', 'pass', 0, 2),
    ('r1', 'mart', 'c', 'k', 'warning', 'warn', 'warn', 1, 0.5),
    ('r1', 'ageing', 'e', 'k', 'warning', 'warn', 'warn', 1, 4) -- at the run's end, and of no gate
"""
# of another DAG, later
FRESHNESS = """
insert into mart.gate_results
(run_id, gate, check_name, kind, tag, severity, status, failing_row_count, duration_seconds, checked_at)
values ('r2', 'freshness', 'd', 'k', 'freshness', 'warn', 'pass', 0, 1, now() + interval '3 hours')
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart that was drawn: what it asked, and what it got."""

    query: Query
    parameters: dict[str, Any]
    rows: source.Rows | None


@dataclass(slots=True)
class Screen:
    """What a reader sees at an address."""

    app: AppTest
    panels: dict[str, Panel]
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def texts(self, kind: str) -> list[str]:
        return [element.value for element in self.app.get(kind)]

    def remark(self, key: str) -> str:
        """What stands below a chart."""
        [panel] = [each for each in self.app.get("container") if each.key == f"panel_{key}"]
        return " ".join(element.value for element in panel.get("caption"))

    def series(self, key: str) -> dict[str, dict[Any, float]]:
        """Name of a trace → x → y, those points apart that have no value."""
        return {
            trace.get("name", ""): {x: y for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None}
            for trace in self.figures[key]["data"]
        }

    def metrics(self) -> dict[str, tuple[str, str]]:
        return {metric.label: (metric.value, metric.delta) for metric in self.app.metric}


@contextmanager
def reading(pipeline: Pipeline, monkeypatch: Any) -> Iterator[Any]:
    """A function: address → screen. Connections are closed at the end, so that the database can be dropped."""
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    drawn: dict[str, Panel] = {}
    draw, fetch = panel.Page.panel, source.fetch
    asked: list[Panel] = []

    def remember(query: Query, parameters: dict[str, Any], published: source.Publication) -> source.Rows:
        rows = fetch(query, parameters, published)
        asked.append(Panel(query, parameters, rows))
        return rows

    def watch(self: panel.Page, title: str, query: Query, *arguments: Any, key: str, **options: Any) -> None:
        asked.clear()
        draw(self, title, query, *arguments, key=key, **options)
        assert title
        drawn[key] = next((each for each in asked if each.query is query), Panel(query, {}, None))

    # the app stays __main__ after a run, and processes that other tests start would run it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(source, "fetch", remember)
    monkeypatch.setattr(panel.Page, "panel", watch)

    def look(**address: str | list[str]) -> Screen:
        drawn.clear()
        app = AppTest.from_file(APP, default_timeout=60)
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, [each.message for each in app.exception]
        screen = Screen(app, dict(drawn))
        for element in app.get("plotly_chart"):
            key = element.proto.id.rsplit("chart_", 1)[-1]
            screen.figures[key] = json.loads(element.proto.spec)
        return screen

    try:
        yield look
    finally:
        source._pool(source._conninfo()).close()
        st.cache_resource.clear()


def downloads(screen: Screen) -> set[str]:
    """Keys of the charts that offer their rows."""
    buttons: list[DownloadButton] = [element.proto for element in screen.app.get("download_button")]
    return {button.id.rsplit("csv_", 1)[-1] for button in buttons}


def all_queries() -> list[Query]:
    """Every query of every page."""
    found: list[Query] = []
    for module in MODULES:
        for value in vars(module).values():
            several = value.values() if isinstance(value, dict) else [value]
            flat = [each for some in several for each in (some if isinstance(some, tuple) else [some])]
            found += [each for each in flat if isinstance(each, Query)]
    return found


def record_checks(pipeline: Pipeline) -> None:
    """What the gates of a run found, and those of another DAG after it."""
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute(GATES)
        conn.execute(FRESHNESS)

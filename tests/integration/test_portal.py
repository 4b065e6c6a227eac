"""``growth portal`` serves the reports without Docker."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from support.pipeline import Pipeline
from support.serving import served


def test_portal_lists_what_there_is_and_serves_it(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWTH_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("GROWTH_DASHBOARD_URL", "http://127.0.0.1:8501")
    docs = tmp_path / "reports" / "dbt-docs" / "index.html"
    docs.parent.mkdir(parents=True)
    docs.write_text("the docs")
    with served("portal", pipeline.warehouse, tmp_path / "portal.log") as address:
        pages = {}
        for path in ("/", "/dbt-docs/", "/data-card.html"):
            with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
                pages[path] = answer.read().decode()
    assert re.findall(r'href="([^"]*)"', pages["/"]) == ["http://127.0.0.1:8501", "dbt-docs/", "data-card.html"]
    assert "Nothing has been published yet." in pages["/"]
    assert pages["/dbt-docs/"] == "the docs"
    assert "<h1>Data card: the sample</h1>" in pages["/data-card.html"]
    assert address in (tmp_path / "portal.log").read_text()

"""``growth portal`` and ``growth dashboard`` without Docker: what they serve, and to whom."""

from __future__ import annotations

import base64
import http.client
import re
import urllib.error
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
    monkeypatch.setenv("GROWTH_REPORTS_URL", "https://pages.example.org:8443/reports/")
    docs = tmp_path / "reports" / "dbt-docs" / "index.html"
    docs.parent.mkdir(parents=True)
    docs.write_text("the docs")
    with served("portal", pipeline.warehouse, tmp_path / "portal.log") as address:
        pages = {}
        for path in ("/", "/dbt-docs/", "/data-card.html"):
            with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
                pages[path] = answer.read().decode()
        known = urllib.request.Request(address, headers={"Host": "pages.example.org:8443"})
        with urllib.request.urlopen(known, timeout=10) as answer:
            assert answer.status == 200
        strange = urllib.request.Request(address, headers={"Host": "stranger.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(strange, timeout=10)
    assert re.findall(r'href="([^"]*)"', pages["/"]) == ["http://127.0.0.1:8501", "dbt-docs/", "data-card.html"]
    assert "Nothing has been published yet." in pages["/"]
    assert pages["/dbt-docs/"] == "the docs"
    assert "<h1>Data card: the sample</h1>" in pages["/data-card.html"]
    assert address in (tmp_path / "portal.log").read_text()


def test_the_dashboard_answers_under_the_names_that_people_know(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED_NAME", "growth.example.org")
    monkeypatch.setenv("GROWTH_DASHBOARD_URL", "https://board.example.org:8443/")
    with served("dashboard", pipeline.warehouse, tmp_path / "dashboard.log") as address:
        port = int(address.rpartition(":")[2])
        known = ("127.0.0.1", "localhost", "growth.example.org", "board.example.org")
        opened = {name: _open_websocket(port, f"{name}:{port}") for name in (*known, "stranger.example")}
    assert opened == {**dict.fromkeys(known, 101), "stranger.example": 403}


def _open_websocket(port: int, host: str) -> int:
    """Status of the answer to a browser on a page of that host: data come through the WebSocket alone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = base64.b64encode(b"sixteen bytes...").decode()
    try:
        connection.request(
            "GET",
            "/_stcore/stream",
            headers={**headers, "Sec-WebSocket-Key": key, "Host": host, "Origin": f"http://{host}"},
        )
        return connection.getresponse().status
    finally:
        connection.close()

"""The monitoring's files, and what is asked of Prometheus: rules, dashboards, queries."""

from __future__ import annotations

import json
import math
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "monitoring"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
# what Grafana puts in place of its variables; wide enough for two scrapes
GRAFANA_VARIABLES = {"$__rate_interval": "1m"}


def panels(path: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard."""
    return list(json.loads(path.read_text("utf-8"))["panels"])


def queries() -> dict[str, str]:
    """Every query of every panel, by dashboard, panel and letter, as Grafana sends it."""
    found = {}
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                query = target["expr"]
                for name, value in GRAFANA_VARIABLES.items():
                    query = query.replace(name, value)
                found[f"{path.stem}: {panel['title']} {target['refId']}"] = query
    return found


def ask(address: str, query: str) -> list[dict[str, Any]]:
    """The samples that an instant query gives.

    Raises:
        urllib.error.HTTPError: Prometheus does not understand the query.
    """
    parameters = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"{address}/api/v1/query?{parameters}", timeout=10) as answer:
        return list(json.load(answer)["data"]["result"])


def wait_for_data(address: str, timeout_seconds: float) -> list[str]:
    """Panels that still have no data when the time is over; none as soon as each has."""
    deadline = time.monotonic() + timeout_seconds
    while (missing := without_data(address)) and time.monotonic() < deadline:
        time.sleep(1)
    return missing


def without_data(address: str) -> list[str]:
    """Panels whose query gives no number."""
    return [
        name
        for name, query in queries().items()
        if not any(math.isfinite(float(sample["value"][1])) for sample in ask(address, query))
    ]

"""What no database has to be asked for: the limits of contracts and settings, and disks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml
from prometheus_client.core import Metric

from growth.alerts.settings import late_hours
from growth.metrics.facts import gauge
from growth.settings import PROJECT_ROOT, feeds_folder
from ingest.contract_files import load_contracts
from ingest.dbt_sources import DELIVERED_WITHIN_HOURS

HOUR, DAY = 3600, 86400

Values = dict[tuple[str, ...], float]


def limits() -> list[Metric]:
    """What contracts and settings allow, so that rules compare metric with metric.

    Raises:
        ingest.errors.ContractError: a contract is wrong.
        OSError: the project cannot be read.
    """
    contracts = load_contracts(feeds_folder()).values()
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))
    within: Values = {
        (each.feed,): DELIVERED_WITHIN_HOURS[each.cadence] * float(HOUR)
        for each in contracts
        if each.cadence in DELIVERED_WITHIN_HOURS
    }
    freshness: Values = {
        (each.feed, level): float(days * DAY)
        for each in contracts
        for level, days in (
            ("warn", each.freshness.warn_after_days),
            ("error", each.freshness.error_after_days),
        )
    }
    rejects: Values = {(each.feed, "file"): each.max_reject_rate for each in contracts}
    rejects |= {(each.feed, "usual"): float(project["vars"]["reject_usual_max_rate"]) for each in contracts}
    late = late_hours() * HOUR
    return [
        gauge("growth_feed_delivered_within_seconds", "A file is due so long after the last.", ("feed",), within),
        gauge(
            "growth_feed_fresh_within_seconds",
            "Age of the newest day of events from which the contract wants a warning, or speaks of an error.",
            ("feed", "level"),
            freshness,
        ),
        gauge(
            "growth_feed_reject_limit_ratio",
            "Share of refused records above which the contract refuses a file, or a check warns (usual).",
            ("feed", "level"),
            rejects,
        ),
        gauge("growth_run_late_after_seconds", "A run counts as late so long after it was queued.", (), {(): late}),
    ]


def disks(places: Mapping[str, Path]) -> list[Metric]:
    """Size and free space of the disks that folders lie on.

    Raises:
        OSError: there is no such folder.
    """
    found: dict[tuple[str, ...], os.statvfs_result] = {(place,): os.statvfs(path) for place, path in places.items()}
    return [
        gauge(
            "growth_disk_size_bytes",
            "Size of the disk that the folder lies on.",
            ("place",),
            {key: float(stat.f_blocks * stat.f_frsize) for key, stat in found.items()},
        ),
        gauge(
            "growth_disk_free_bytes",
            "Free space on the disk that the folder lies on.",
            ("place",),
            {key: float(stat.f_bavail * stat.f_frsize) for key, stat in found.items()},
        ),
    ]

"""Settings of alerts that are hours."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

# A year of a large site loads within the hour; by 06:00 UTC Europe comes to work.
LATE_HOURS = 2.0


def late_hours() -> float:
    """How long after it was queued a run counts as late."""
    return hours("GROWTH_ALERT_LATE_HOURS", LATE_HOURS)


def hours(name: str, default: float) -> float:
    """A number of hours from the environment; what is no number is logged, and the default taken."""
    text = os.environ.get(name) or str(default)
    try:
        return float(text)
    except ValueError:
        log.warning("%s=%s is no number: taken as %s", name, text, default)
        return default

"""Settings of alerts that are hours."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)


def hours(name: str, default: float) -> float:
    """A number of hours from the environment; what is no number is logged, and the default taken."""
    text = os.environ.get(name) or str(default)
    try:
        return float(text)
    except ValueError:
        log.warning("%s=%s is no number: taken as %s", name, text, default)
        return default

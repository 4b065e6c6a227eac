"""What a test needs of a machine and may lack: in CI its absence is a failure, elsewhere a reason to skip."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """End a test that cannot run here."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs what is missing here: {reason}")
    pytest.skip(reason)

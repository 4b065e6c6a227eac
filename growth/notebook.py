"""JupyterLab on this machine only, in the folder notebooks/, its kernels on the warehouse as the role analyst."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping

from growth import secret_files
from growth.settings import PROJECT_ROOT, Warehouse
from ingest.errors import ExpectedError

FOLDER = PROJECT_ROOT / "notebooks"


class JupyterMissing(ExpectedError):
    """The extra packages are not installed."""


def open_notebooks(warehouse: Warehouse, *, has_browser: bool, variables: Mapping[str, str]) -> None:
    """Become JupyterLab; does not come back.

    Raises:
        JupyterMissing: say what to install.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise JupyterMissing("JupyterLab is not installed: `make .venv/installed-analysis` brings it.")
    arguments = ["-m", "jupyterlab", "--ip=127.0.0.1", f"--notebook-dir={FOLDER}"]
    if not has_browser:
        arguments.append("--no-browser")
    os.execve(sys.executable, [sys.executable, *arguments], notebook_environment(warehouse, variables))  # noqa: S606


def notebook_environment(warehouse: Warehouse, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without any password but the analyst's: what a notebook imports reads them, too."""
    return {**secret_files.without_secrets(variables), **warehouse.login("analyst")}

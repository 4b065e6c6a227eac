"""JupyterLab on this machine only, in the folder notebooks/, its kernels on the warehouse as the role analyst."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping

from growth.settings import PROJECT_ROOT, Warehouse

FOLDER = PROJECT_ROOT / "notebooks"


class JupyterMissing(Exception):
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
    # no cell needs another role's password
    kept = {name: value for name, value in variables.items() if not name.startswith("WAREHOUSE_")}
    os.execve(sys.executable, [sys.executable, *arguments], {**kept, **warehouse.login("analyst")})  # noqa: S606

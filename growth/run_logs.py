"""Delete the logs of runs that are long over.

Target: ``run-*.log`` of ``growth run`` and the folders of Airflow's runs, ``airflow/dag_id=*/run_id=*``, in the home's
logs folder. With Docker Airflow's logs are elsewhere, and its own affair.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from growth.settings import growth_home

KEPT_DAYS = 90


def delete_old() -> list[str]:
    """Delete the logs of runs that wrote to none of theirs for so long.

    Returns:
        Their paths below the logs folder.
    """
    folder, over = growth_home() / "logs", time.time() - KEPT_DAYS * 24 * 3600
    deleted = []
    for path in sorted([*folder.glob("run-*.log"), *folder.glob("airflow/dag_id=*/run_id=*")]):
        # A task that was cleared writes below the folder of its run, whose own time stays.
        if max(map(_written, (path, *path.rglob("*")))) >= over:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        deleted.append(path.relative_to(folder).as_posix())
    return deleted


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # somebody else has deleted it
        return 0

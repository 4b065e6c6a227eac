"""What dbt has parsed: in advance, beside other work, and kept for the next command of the same process.

dbt takes seconds to parse the project, and half a second to read what it parsed before.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from growth.settings import Warehouse, dbt_target

PARSED, MANIFEST = "partial_parse.msgpack", "manifest.json"
SOURCES = ("*.sql", "*.yml", "*.csv")
# Commands that are run again and again, and what makes another project of the same files.
REPEATED = ("build", "run", "test", "docs")
CHANGING = ("--vars", "--target", "-t", "--profile", "--project-dir", "--profiles-dir", "--target-path")

_kept: dict[str, tuple[object, Any]] = {}


def begin(warehouse: Warehouse) -> None:
    """Parse the project for the target prod in another process, unless that is done or going on; wait for nothing.

    Raises:
        OSError: the state folder cannot be written.
    """
    from growth import dbt

    settings = dbt.environment(warehouse, "prod")
    parsed = Path(settings["DBT_TARGET_PATH"]) / PARSED
    if parsed.exists() and parsed.stat().st_mtime_ns > max(changed for _, changed in _files(settings)):
        return
    with _lock_file(settings).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        subprocess.Popen(
            [Path(sys.executable).with_name("dbt"), "parse", "--quiet"],
            env={**os.environ, **settings, "DBT_LOG_LEVEL_FILE": "none"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what is wrong with the project is said by the command that needs it
            stderr=subprocess.DEVNULL,
            pass_fds=[lock.fileno()],  # held for as long as that process lives
        )


def wait(settings: Mapping[str, str]) -> None:
    """Wait for the end of what ``begin`` began, in whichever process."""
    with _lock_file(settings).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def kept(arguments: Sequence[str], settings: Mapping[str, str]) -> Any:
    """The manifest for a command, parsed once as long as neither files nor variables change.

    Args:
        arguments: of dbt.
        settings: the variables of ``growth.dbt.environment``; they are set in ``os.environ``.

    Returns:
        The manifest; None where the command has to parse by itself, also for want of a project that can be parsed.
    """
    from dbt.cli.main import dbtRunner

    words = {argument.split("=", 1)[0] for argument in arguments}
    if arguments[0] not in REPEATED or words & set(CHANGING):
        return None
    folder = settings["DBT_TARGET_PATH"]
    variables = {name: value for name, value in os.environ.items() if name.startswith(("DBT_", "WAREHOUSE_"))}
    state = (variables, _files(settings))
    if folder not in _kept or _kept[folder][0] != state:
        _kept[folder] = (state, dbtRunner().invoke(["parse", "--quiet"]).result)
    return _kept[folder][1]


def manifest(target: str = "prod") -> dict[str, Any] | None:
    """What dbt parsed last for a target; None where it never did."""
    path = dbt_target(target) / MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _files(settings: Mapping[str, str]) -> set[tuple[str, int]]:
    """The project's files, and when each was changed."""
    project = Path(settings["DBT_PROJECT_DIR"])
    return {(str(path), path.stat().st_mtime_ns) for pattern in SOURCES for path in project.rglob(pattern)}


def _lock_file(settings: Mapping[str, str]) -> Path:
    folder = Path(settings["DBT_TARGET_PATH"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "parsing.lock"

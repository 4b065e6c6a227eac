"""The dbt packages: the real ones where they are installed, else stand-ins of the same names without content.

dbt refuses to parse when a package of packages.yml is missing, and no model of ours needs one: so the warehouse runs
without them, and only Elementary's report is absent.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from growth.files import forget_parts, replacing
from growth.settings import PROJECT_ROOT, Warehouse
from ingest.errors import ExpectedError

STAND_INS = PROJECT_ROOT / "dbt_project" / "stand_ins"
NAMES = ("elementary", "dbt_utils")
QUIETLY = ("--quiet", "--log-level", "none")
ABSENT = "Elementary is absent: no data quality report. `make deps` gets it (docs/elementary.md)."


class PackagesUnavailable(ExpectedError):
    """The packages could not be fetched; what was installed before stays."""


def real_folder() -> Path:
    """Folder of the real packages: that of ``DBT_PACKAGES_DIR`` if they are whole there, else ``dbt_packages``.

    Where they are in neither, it is the one that they are to be put in: the first of both that is set.
    """
    named = os.environ.get("DBT_PACKAGES_DIR")
    folders = [*([Path(named).absolute()] if named else []), PROJECT_ROOT / "dbt_project" / "dbt_packages"]
    return next((folder for folder in folders if _is_whole(folder)), folders[0])


def elementary_version() -> str:
    """Version of the Elementary package in use; empty where it is absent."""
    folder = real_folder()
    if not _is_whole(folder):
        return ""
    return str(yaml.safe_load((folder / "elementary" / "dbt_project.yml").read_text("utf-8"))["version"])


def _is_whole(folder: Path) -> bool:
    return all((folder / name / "dbt_project.yml").is_file() for name in NAMES)


def environment() -> dict[str, str]:
    """The variables that tell dbt where packages are, and whether Elementary's monitors can be parsed."""
    if elementary_version():
        return {"DBT_PACKAGES_DIR": str(real_folder()), "DBT_MONITORS_DIR": "monitors"}
    return {"DBT_PACKAGES_DIR": str(STAND_INS), "DBT_MONITORS_DIR": "stand_ins/monitors"}


def fetch() -> str:
    """Get the packages of the lock from dbt's hub, beside those that are installed, and put them in their place.

    Returns:
        The version of Elementary.

    Raises:
        PackagesUnavailable: the hub did not answer, or what it gave is not whole.
        OSError: the folder cannot be written.
    """
    from growth import dbt

    target = real_folder()
    forget_parts(target.parent)
    with replacing(target) as fresh:
        # deps needs a profile, and no connection; of a hub that does not answer its log has hundreds of lines, we one
        arguments, packages = ["deps", *QUIETLY], {"DBT_PACKAGES_DIR": str(fresh)}
        result = dbt.invoke(arguments, Warehouse.at("127.0.0.1", 5432), variables=packages)
        if not result.succeeded or not _is_whole(fresh):
            reason = result.error.strip() or f"not all of {', '.join(NAMES)} came"
            raise PackagesUnavailable(
                f"The dbt packages could not be fetched: {reason}\nHow to bring them by hand: docs/elementary.md."
            )
        shutil.rmtree(target, ignore_errors=True)
    return elementary_version()

"""Run Airflow command lines in one process, one after another, with less start-up than the program ``airflow``.

``python -m embedded.airflow_main db migrate ::: dags test growth_daily`` imports Airflow once, not twice, and stops at
the first command that fails, with its exit code.
"""

from __future__ import annotations

import gc
import os
import sys

SEPARATOR = ":::"
LOGIN = "airflow"  # the one user of the web interface
# Stands for the value of AIRFLOW_PASSWORD, which then is in no list of processes: every user of a machine reads those.
PASSWORD = "--password=$AIRFLOW_PASSWORD"  # noqa: S105


def command_line(*commands: list[str]) -> list[str]:
    """The process that runs Airflow commands, one after another."""
    words = [sys.executable, "-m", "embedded.airflow_main"]
    for number, arguments in enumerate(commands):
        words += [SEPARATOR, *arguments] if number else arguments
    return words


def create_login(password: str) -> list[str]:
    """The command that makes the user of the web interface where there is none; ``password`` is the option for it."""
    names = ["--firstname", "Growth", "--lastname", "Analytics", "--email", "airflow@localhost"]
    return ["users", "create", "--username", LOGIN, password, "--role", "Admin", *names]


def main() -> None:
    """Run the commands in this process's arguments."""
    gc.set_threshold(100_000, 20, 100)  # a million objects of imports that stay: looking at them often takes seconds
    from airflow.__main__ import main as airflow

    _only_newest_task_api()
    for command in _split(sys.argv[1:]):
        sys.argv = ["airflow", *map(_with_password, command)]
        try:
            airflow()
        except SystemExit as end:
            if end.code not in (None, 0):
                raise


def _with_password(word: str) -> str:
    return f"--password={os.environ['AIRFLOW_PASSWORD']}" if word == PASSWORD else word  # it may begin with a dash


def _split(arguments: list[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for argument in arguments:
        if argument == SEPARATOR:
            commands.append([])
        else:
            commands[-1].append(argument)
    return commands


def _only_newest_task_api() -> None:
    """Reduce the task API of this process to the version that it speaks itself.

    Airflow prepares that API in every version an old worker might speak. ``dags test`` runs its tasks in this process,
    so the newest is enough, and that saves 7 of 15 seconds of a short run. Left alone where Airflow is not as known.
    """
    try:
        from airflow.api_fastapi.execution_api import routes, versions
        from airflow.sdk.api.datamodels._generated import API_VERSION
        from cadwyn import HeadVersion, Version, VersionBundle
        from cadwyn.route_generation import _DELETED_ROUTE_TAG

        if versions.bundle.versions[0].value != API_VERSION:
            return
        router = routes.execution_api_router
        router.routes = [each for each in router.routes if _DELETED_ROUTE_TAG not in getattr(each, "tags", [])]
        versions.bundle = VersionBundle(HeadVersion(), Version(API_VERSION))
    except (ImportError, AttributeError, IndexError):
        return


if __name__ == "__main__":
    main()

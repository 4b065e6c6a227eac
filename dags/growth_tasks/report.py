"""The report of a run, as a task that follows every run and changes none."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from growth_tasks.steps import fail_for_good, warehouse

log = logging.getLogger(__name__)


def render_report() -> Any:
    """A teardown task: runs after a failed gate too, and cannot turn the run green."""
    return report().as_teardown()


@task
@fail_for_good
def report() -> None:
    """Write the dbt docs, Elementary's report and the index page; send the report where that is configured."""
    from growth import elementary, packages, reports

    at = warehouse()
    if reports.write_docs(at):
        log.info("dbt docs written")
    if not packages.elementary_version():
        reports.write_index(at)
        log.warning(packages.ABSENT)
        raise AirflowSkipException(packages.ABSENT)
    elementary.update(at)
    log.info("report: %s", elementary.write_report(at))
    reports.write_index(at)
    for command in elementary.send(at):
        log.info("edr %s: sent", command)

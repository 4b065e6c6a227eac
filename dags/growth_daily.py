"""# growth_daily: landed files → raw → staging → dwh → mart → report

Loads what has landed since the last run, builds the layers and publishes the marts.

**Gates.** Each layer's tests are a task of their own. A failed test of severity `error` stops everything after it, and
the published marts stay as they were; its log names the test, how many rows fail, and the SQL that shows them.

**Refused files.** A file that does not match its contract fails its feed's load task; the other files of the load stay.

**Report.** Whatever becomes of the run, its last task writes the dbt docs, Elementary's report and an index of both
(docs/elementary.md). Without the Elementary package it is skipped, and says how to get it.

**One at a time.** A run waits in its first task while another one is going on, also beside a backfill, whose runs
Airflow does not count for `max_active_runs` (docs/runbooks/backfill.md).

**Params.** `full_refresh` rebuilds every incremental model from raw; `feeds` loads only the feeds named; `domains`
loads, builds and publishes only the domains named (empty: all).

**Alerts.** A task that failed for good, and a run that is late, are told once (docs/alerts.md).

**If it fails:** read the failed task's log, then docs/runbooks/growth_daily.md.
"""

import sys
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Param, chain

# Airflow's own commands find growth_tasks beside this file by themselves; whoever else reads it does not.
sys.path.insert(0, str(Path(__file__).parent))

from growth_tasks.alerts import TELL, TELL_RUN, late_alert
from growth_tasks.report import render_report
from growth_tasks.steps import gate, load_feeds, publish_marts, run_layer

with DAG(
    dag_id="growth_daily",
    doc_md=__doc__,
    schedule="0 4 * * *",  # the day's files have landed by 03:00 UTC
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # incremental models assume one writer; see growth/turns.py
    default_args=TELL,
    **TELL_RUN,
    deadline=late_alert(),
    params={
        "full_refresh": Param(False, type="boolean", description="Rebuild every incremental model from raw."),
        "feeds": Param([], type="array", items={"type": "string"}, description="Feeds to load; empty for all."),
        "domains": Param([], type="array", items={"type": "string"}, description="Domains to run; empty for all."),
    },
    tags=["growth"],
):
    layers = [task for layer in ("staging", "dwh", "mart") for task in (run_layer(layer), gate(layer))]
    chain(load_feeds(), gate("raw"), *layers, publish_marts(), render_report())

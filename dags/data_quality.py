"""# data_quality: what is worth a look, and stops nothing

Runs when the marts were published, and each morning whether they were or not.

- `tell_late_feeds` judges every feed against the clock (tests with the tag `freshness`).
- `tell_warnings` tells which checks of severity `warn` found something when the gates last ran them.

Both tell what is news through the channels of docs/alerts.md. A late feed or a warning fails no task: a red task here
means that the check itself could not run.

**What to do about an alert:** docs/runbooks/data_quality.md.
"""

import sys
from pathlib import Path

import pendulum
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable

# Airflow's own commands find growth_tasks beside this file by themselves; whoever else reads it does not.
sys.path.insert(0, str(Path(__file__).parent))

from growth_tasks.alerts import TELL, TELL_RUN, tell_late_feeds, tell_warnings
from growth_tasks.steps import MARTS

with DAG(
    dag_id="data_quality",
    doc_md=__doc__,
    # by 07:00 growth_daily has ended, or is late itself
    schedule=AssetOrTimeSchedule(assets=[MARTS], timetable=CronTriggerTimetable("0 7 * * *", timezone="UTC")),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=TELL,
    **TELL_RUN,
    tags=["growth"],
):
    tell_late_feeds()
    tell_warnings()

"""What was loaded, refused, checked and published."""

from __future__ import annotations

from dashboard.queries.gates import NEWEST_GATES
from dashboard.query import Query

LOADS = Query(
    """
    select
        cast(finished_at at time zone 'UTC' as date) as load_date,
        feed,
        count(*) as file_count,
        sum(loaded_count) as loaded_count,
        sum(rejected_count) as rejected_count
    from mart.load_history
    where
        status <> 'refused'
        and finished_at > (select max(finished_at) from mart.load_history) - interval '90 days'
    group by load_date, feed
    order by load_date, feed
    """,
    ("load_history",),
    has_dates=False,
    is_operations=True,
)
REFUSED = Query(
    """
    select finished_at, feed, source_file, error, corrected_at
    from mart.load_history
    where status = 'refused'
    order by finished_at desc
    limit 50
    """,
    ("load_history",),
    has_dates=False,
    is_operations=True,
)
REJECTS = Query(
    """
    select
        feed,
        reason,
        sum(record_count) as record_count,
        sum(waiting_count) as waiting_count,
        sum(replayed_count) as replayed_count,
        sum(discarded_count) as discarded_count
    from mart.reject_summary
    group by feed, reason
    order by record_count desc, feed, reason
    """,
    ("reject_summary",),
    has_dates=False,
    is_operations=True,
)
GATE_HISTORY = Query(
    NEWEST_GATES  # noqa: S608 (both are fixed text)
    + """,

    runs as (
        select run_id, max(checked_at) as checked_at from results group by run_id order by checked_at desc limit 30
    )
    select runs.checked_at, runs.run_id, results.status, count(*) as check_count
    from runs
    inner join results on runs.run_id = results.run_id
    group by runs.checked_at, runs.run_id, results.status
    order by runs.checked_at, results.status
    """,
    ("gate_results",),
    has_dates=False,
    is_operations=True,
)
FINDINGS = Query(
    NEWEST_GATES  # noqa: S608 (both are fixed text)
    + """
    select found.gate, found.check_name, found.status, found.failing_row_count, found.kept_in
    from newest
    -- of no gate, but of that run: why old rows did not leave raw
    inner join mart.gate_results as found on newest.run_id = found.run_id
    where found.status not in ('pass', 'skipped')
    order by found.status = 'warn', found.gate, found.check_name
    """,
    ("gate_results",),
    has_dates=False,
    is_operations=True,
)
GATE_SECONDS = Query(
    NEWEST_GATES  # noqa: S608 (both are fixed text)
    + """
    select results.gate, count(*) as check_count, sum(results.duration_seconds) as duration_seconds
    from newest
    inner join results on newest.run_id = results.run_id
    group by results.gate
    order by results.gate
    """,
    ("gate_results",),
    has_dates=False,
    is_operations=True,
)
PUBLICATIONS = Query(
    """
    select publication_id, published_at, run_id, as_of_date, is_rollback
    from mart.publications
    order by publication_id desc
    limit 20
    """,
    ("publications",),
    has_dates=False,
    is_operations=True,
)

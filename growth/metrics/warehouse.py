"""Feeds, gates, publications and the server itself, read as the role analyst.

Source: the operations marts (docs/operations.md), what growth.metrics.objects adds to them, and Postgres' own
statistics.
"""

from __future__ import annotations

from growth.metrics.facts import Facts

FEEDS = Facts(
    "growth_feed",
    ("feed",),
    {
        "files": "Files that are loaded; their rows are in raw, or left it as old ones.",
        "records": "Records of these files that were loaded.",
        "quarantined_records": "Records in quarantine.",
        "bytes": "Size of these files, as they were delivered.",
        "refused_files": "Files refused since a run published last and not loaded since.",
        "last_load_timestamp_seconds": "When a file was loaded last.",
        "last_load_duration_seconds": "How long the newest run that loaded files took for them, added up.",
        "last_load_reject_ratio": "Of the files that the newest run loaded, the largest share of refused records.",
        "newest_day_timestamp_seconds": "Beginning of the newest day of events (UTC).",
    },
    """
    with loads as (select * from mart.load_history),

    newest_runs as (
        select distinct on (feed) feed, run_id from loads where status = 'loaded' order by feed, load_id desc
    ),

    newest_loads as (
        select
            feed,
            sum(loads.duration_seconds) as last_load_duration_seconds,
            max(coalesce(loads.rejected_count::numeric / nullif(loads.record_count, 0), 0)) as last_load_reject_ratio
        from loads
        inner join newest_runs using (feed, run_id)
        where loads.status = 'loaded'
        group by feed
    ),

    refused as (
        select feed, count(*) as refused_files
        from loads
        where
            status = 'refused'
            and corrected_at is null
            and finished_at > coalesce(
                (select max(published_at) from mart.publications where not is_rollback), '-infinity'
            )
        group by feed
    ),

    feeds as (
        select
            feed,
            count(*) filter (where status = 'loaded') as files,
            coalesce(sum(loaded_count) filter (where status = 'loaded'), 0) as records,
            coalesce(sum(rejected_count) filter (where status = 'loaded'), 0) as quarantined_records,
            coalesce(sum(size_bytes) filter (where status = 'loaded'), 0) as bytes,
            extract(epoch from max(finished_at) filter (where status <> 'refused')) as last_load_timestamp_seconds
        from loads
        group by feed
    )

    select
        feeds.*,
        coalesce(refused_files, 0) as refused_files,
        last_load_duration_seconds,
        last_load_reject_ratio,
        extract(epoch from newest_date) as newest_day_timestamp_seconds
    from feeds
    left join newest_loads using (feed)
    left join refused using (feed)
    left join dwh._newest_days using (feed)
    """,
)

RECENT_RESULTS = """
    with results as (select * from mart.gate_results where checked_at > now() - interval '30 days'),

    latest as (select distinct on (gate) gate, run_id from results order by gate, checked_at desc)
"""
GATES = Facts(
    "growth_gate",
    ("gate",),
    {
        "last_check_timestamp_seconds": "When the gate was run last.",
        "last_duration_seconds": "How long its checks took then, added up.",
    },
    f"""
    {RECENT_RESULTS}
    select
        gate,
        extract(epoch from max(checked_at)) as last_check_timestamp_seconds,
        sum(duration_seconds) as last_duration_seconds
    from results inner join latest using (gate, run_id) group by gate
    """,  # noqa: S608 (constants)
)
GATE_CHECKS = Facts(
    "growth_gate",
    ("gate", "status"),
    {"checks": "Checks of the gate by what its last run found; freshness and ageing stop nothing."},
    f"""
    {RECENT_RESULTS}
    select gate, statuses.status, count(check_name) as checks
    from latest
    cross join unnest(array['pass', 'warn', 'fail', 'error', 'skipped']) as statuses (status)
    left join results using (gate, run_id, status)
    group by gate, statuses.status
    """,  # noqa: S608 (constants)
)
FAILING_CHECKS = Facts(
    "growth_check",
    ("gate", "check", "severity"),
    {"failing_runs": "Successive runs up to the last one in which the check failed or warned, if it did in the last."},
    f"""
    {RECENT_RESULTS},

    runs as (
        select
            gate,
            check_name,
            severity,
            status in ('warn', 'fail', 'error') as is_failing,
            row_number() over (partition by gate, check_name order by checked_at desc) as runs_ago
        from results
        where status <> 'skipped'
    )

    select
        gate,
        check_name as "check",
        max(severity) as severity,
        coalesce(min(runs_ago) filter (where not is_failing), max(runs_ago) + 1) - 1 as failing_runs
    from runs
    group by gate, check_name
    having bool_or(is_failing) filter (where runs_ago = 1)
    """,  # noqa: S608 (constants)
)
PUBLICATIONS = Facts(
    "growth",
    (),
    {
        "publications_total": "Publications, rollbacks included.",
        "publication_timestamp_seconds": "When a run published last; a rollback does not count.",
        "publication_as_of_timestamp_seconds": "Beginning of the newest day of what is published (UTC).",
        "publication_is_rollback": "1 while readers see the marts of an earlier publication.",
    },
    """
    select
        count(*) as publications_total,
        extract(epoch from max(published_at) filter (where not is_rollback)) as publication_timestamp_seconds,
        extract(epoch from (array_agg(as_of_date order by publication_id desc))[1])
            as publication_as_of_timestamp_seconds,
        coalesce((array_agg(is_rollback order by publication_id desc))[1]::int, 0) as publication_is_rollback
    from mart.publications
    """,
)
MARTS = Facts(
    "growth_mart",
    ("mart",),
    {"rows": "Rows of the mart as published.", "changed_rows": "Rows that its last publication changed."},
    """
    with newest as (select * from mart.publications order by publication_id desc limit 20)

    select distinct on (mart)
        counts.mart,
        counts.row_count::bigint as rows,
        (newest.changed_counts ->> counts.mart)::bigint as changed_rows
    from newest
    cross join lateral jsonb_each_text(newest.row_counts) as counts (mart, row_count)
    order by mart, publication_id desc
    """,
)
POSTGRES = Facts(
    "growth_postgres",
    (),
    {
        "connections": "Sessions in the warehouse's database.",
        "max_connections": "Sessions that the server takes, in all databases.",
        "database_size_bytes": "Size of the database on disk.",
        "longest_transaction_seconds": "Age of the oldest open transaction.",
        "commits_total": "Transactions that were committed.",
        "rollbacks_total": "Transactions that were rolled back.",
        "deadlocks_total": "Deadlocks.",
        "temp_bytes_total": "Bytes that queries wrote to temporary files.",
        "blocks_read_total": "Blocks read that were not in the server's cache.",
        "blocks_hit_total": "Blocks read from the server's cache.",
    },
    """
    select
        numbackends as connections,
        current_setting('max_connections')::int as max_connections,
        pg_database_size(datname) as database_size_bytes,
        dwh._longest_transaction_seconds() as longest_transaction_seconds,
        xact_commit as commits_total,
        xact_rollback as rollbacks_total,
        deadlocks as deadlocks_total,
        temp_bytes as temp_bytes_total,
        blks_read as blocks_read_total,
        blks_hit as blocks_hit_total
    from pg_stat_database
    where datname = current_database()
    """,
)
WAREHOUSE = (FEEDS, GATES, GATE_CHECKS, FAILING_CHECKS, PUBLICATIONS, MARTS, POSTGRES)

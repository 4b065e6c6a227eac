"""The operations marts: what was loaded, refused, checked and published, current whether a run ended well or not.

Target: ``mart.publications``, ``mart.gate_results`` and ``mart.dbt_invocations`` (tables that a run writes),
``mart.load_history`` and ``mart.reject_summary`` (views on the ledger and the quarantine). None of them holds anything
of a record.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from ingest.tables import make_indexes

# What gates and dbt commands write is kept for a year to compare with, and a month until the comparison is made.
KEPT_DAYS = 400

# mart_previous: rows of before the last publication, for those who roll it back and not for readers
PUBLICATIONS = """
create schema if not exists mart_previous;
comment on schema mart_previous is 'Rows of before the last publication, for a rollback.';
create table if not exists mart.publications (
    publication_id bigint generated always as identity primary key,
    run_id text not null,
    published_at timestamptz not null default now(),
    as_of_date date,
    rules_version text not null,
    row_counts jsonb not null
);
do $$
begin
    -- looked up first: alter table would lock readers out, even to find that there is nothing to add
    if not exists (
        select from pg_attribute where attrelid = 'mart.publications'::regclass and attname = 'changed_counts'
    ) then
        alter table mart.publications
        add column if not exists changed_counts jsonb,
        add column if not exists is_rollback boolean not null default false,
        add column if not exists restored_publication_id bigint;
    end if;
end;
$$;
comment on table mart.publications is 'One row per publication of the marts.';
comment on column mart.publications.publication_id is 'Grows with each publication.';
comment on column mart.publications.published_at is 'When the marts changed.';
comment on column mart.publications.run_id is 'Run of the DAG that published.';
comment on column mart.publications.as_of_date is 'Newest loaded day of any domain.';
comment on column mart.publications.rules_version is 'Fingerprint of the attribution rules that labelled it.';
comment on column mart.publications.row_counts is 'Rows per mart.';
comment on column mart.publications.changed_counts is
'Fewest rows to insert, update and delete that lead from the rows of before to these, per mart; null if unknown.';
comment on column mart.publications.is_rollback is 'Whether rows of an earlier publication were restored.';
comment on column mart.publications.restored_publication_id is 'Of a rollback: the publication whose rows are back.'
"""

GATE_RESULTS = """
create table if not exists mart.gate_results (
    run_id text not null,
    gate text not null,
    check_name text not null,
    kind text not null,
    tag text not null,
    severity text not null,
    status text not null check (status in ('pass', 'warn', 'fail', 'error', 'skipped')),
    failing_row_count bigint,
    kept_in text,
    duration_seconds numeric not null,
    checked_at timestamptz not null default now(),
    primary key (run_id, gate, check_name)
);
comment on table mart.gate_results is 'One row per run, gate and check: what the newest try found.';
comment on column mart.gate_results.run_id is 'Run that the gate belongs to.';
comment on column mart.gate_results.gate is
'Layer whose gate it is: raw, staging, dwh or mart; or freshness or ageing, which stop nothing.';
comment on column mart.gate_results.check_name is 'Name of the check, as docs/data-quality.md lists it.';
comment on column mart.gate_results.kind is 'What sort of check it is, such as not_null; singular for one of its own.';
comment on column mart.gate_results.tag is 'critical, warning or freshness.';
comment on column mart.gate_results.severity is 'error stops the run, warn reports.';
comment on column mart.gate_results.status is
'pass; warn or fail (rows were found); error (the check could not run); skipped (it was not reached).';
comment on column mart.gate_results.failing_row_count is 'Rows that do not hold; null where the check could not run.';
comment on column mart.gate_results.kept_in is 'Table that has those rows, for a while; null where there is none.';
comment on column mart.gate_results.duration_seconds is 'How long the check took.';
comment on column mart.gate_results.checked_at is 'When the gate ended.'
"""

DBT_INVOCATIONS = """
create table if not exists mart.dbt_invocations (
    invocation_id text primary key,
    run_id text not null,
    task_id text not null,
    status text not null check (status in ('success', 'failed')),
    node_count bigint not null,
    failed_nodes text[] not null,
    started_at timestamptz not null,
    finished_at timestamptz not null default now()
);
comment on table mart.dbt_invocations is
'One row per dbt command that a task of a run gave: what leads from a failed task to its models, checks and loads.';
comment on column mart.dbt_invocations.invocation_id is 'Name of the command in the logs of dbt and of the task.';
comment on column mart.dbt_invocations.run_id is 'Run that the task belongs to.';
comment on column mart.dbt_invocations.task_id is 'Task: run_<layer> or gate_<layer>.';
comment on column mart.dbt_invocations.status is 'success, or failed: a model could not be built, a check failed.';
comment on column mart.dbt_invocations.node_count is 'Models, seeds and snapshots that were built, or checks that ran.';
comment on column mart.dbt_invocations.failed_nodes is 'Models or checks that failed; those that warned are not here.';
comment on column mart.dbt_invocations.started_at is 'When the command began.';
comment on column mart.dbt_invocations.finished_at is 'When it was written down, at its end.'
"""

INDEXES = {
    "mart.gate_results_checked_at": sql.SQL("create index gate_results_checked_at on mart.gate_results (checked_at)"),
    "mart.dbt_invocations_run_id": sql.SQL(
        "create index dbt_invocations_run_id on mart.dbt_invocations (run_id, task_id)"
    ),
}

# What an error quotes from a file is for those who may read raw. Names are quoted as Python does, by one kind of quote
# or the other; an apostrophe, as in "the contract's", follows a letter and begins nothing.
LOAD_HISTORY = """
create or replace view mart.load_history as
select
    load_id,
    feed,
    source_file,
    status,
    size_bytes,
    record_count,
    loaded_count,
    rejected_count,
    regexp_replace(
        split_part(error, E'\\n', 1), $$"[^"]*"|(?<![[:alnum:]])'([^'\\\\]|\\\\.)*'$$, '"…"', 'g'
    ) as error,
    started_at,
    finished_at,
    round(extract(epoch from finished_at - started_at), 3) as duration_seconds,
    run_id,
    removed_by as removed_by_load_id,
    erased_count,
    case when status = 'refused' then (
        select min(later.finished_at) from raw._loads as later
        where later.source_file = loads.source_file and later.status = 'loaded' and later.load_id > loads.load_id
    ) end as corrected_at
from raw._loads as loads
where status not in ('removal', 'replayed');
comment on view mart.load_history is 'One row per delivered file and content.';
comment on column mart.load_history.load_id is 'Grows with each load.';
comment on column mart.load_history.feed is 'Feed that the file belongs to.';
comment on column mart.load_history.source_file is 'Path of the file below the landing folder.';
comment on column mart.load_history.status is
'loaded; refused (see error); replaced or unloaded: its rows are not in the warehouse any more.';
comment on column mart.load_history.size_bytes is 'Size of the file as it was delivered.';
comment on column mart.load_history.record_count is 'Records of the file: loaded, rejected and erased ones.';
comment on column mart.load_history.loaded_count is 'Records that went into raw.';
comment on column mart.load_history.rejected_count is 'Records in quarantine, see reject_summary.';
comment on column mart.load_history.error is 'Why the file was refused, in one line; growth status says all of it.';
comment on column mart.load_history.started_at is 'When its load began.';
comment on column mart.load_history.finished_at is 'When its load ended.';
comment on column mart.load_history.duration_seconds is 'How long the load took.';
comment on column mart.load_history.run_id is 'Run that loaded it.';
comment on column mart.load_history.removed_by_load_id is 'Load that took its rows out.';
comment on column mart.load_history.erased_count is
'Records of people who were erased, taken out later or kept out by the load: growth erase.';
comment on column mart.load_history.corrected_at is 'When a refused file was loaded after all; null while it was not.'
"""

REJECT_SUMMARY = """
create or replace view mart.reject_summary as
select
    rejects.feed,
    cast(loads.finished_at at time zone 'UTC' as date) as load_date,
    rejects.reason,
    count(*) as record_count,
    count(*) filter (
        where rejects.replayed_at is null and rejects.discarded_at is null and loads.status = 'loaded'
    ) as waiting_count,
    count(rejects.replayed_at) as replayed_count,
    count(rejects.discarded_at) as discarded_count
from raw._rejects as rejects
inner join raw._loads as loads on rejects.load_id = loads.load_id
group by 1, 2, 3;
comment on view mart.reject_summary is 'One row per feed, UTC day of the load and reason: records that were refused.';
comment on column mart.reject_summary.feed is 'Feed that the records belong to.';
comment on column mart.reject_summary.load_date is 'UTC day on which their files were loaded.';
comment on column mart.reject_summary.reason is 'As docs/feeds.md lists them.';
comment on column mart.reject_summary.record_count is 'Records that were refused.';
comment on column mart.reject_summary.waiting_count is
'Those that nobody has dealt with yet; of a file that was replaced or taken out none waits.';
comment on column mart.reject_summary.replayed_count is 'Those that were loaded later: growth rejects replay.';
comment on column mart.reject_summary.discarded_count is 'Those that were given up: growth rejects discard.'
"""
VIEWS = {"load_history": LOAD_HISTORY, "reject_summary": REJECT_SUMMARY}
# What the definition of an older release lacks.
NEWEST = {"load_history": "[:alnum:]", "reject_summary": "status"}
LACKING = "select coalesce(position(%(newest)s in pg_get_viewdef(to_regclass(%(view)s))), 0) = 0"


def ensure_operations(conn: psycopg.Connection) -> None:
    """Make the operations marts where they are missing, as the role that owns schema mart."""
    conn.execute(PUBLICATIONS)
    conn.execute(GATE_RESULTS)
    conn.execute(DBT_INVOCATIONS)
    make_indexes(conn, INDEXES)
    for name, statements in VIEWS.items():
        # looked up first: `create or replace` would wait for whoever reads the view
        if conn.execute(LACKING, {"view": f"mart.{name}", "newest": NEWEST[name]}).fetchone() == (True,):
            conn.execute(statements.encode())

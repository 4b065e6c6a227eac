"""The public interface: tables, columns and types that a SQL IDE, a notebook or a dashboard relies on."""

from __future__ import annotations

from support.pipeline import Pipeline

COLUMNS = {
    "mart.channel_attribution": {
        "attribution_model": "text",
        "channel": "text",
        "registration_month": "date",
        "registration_count": "numeric",
        "registration_rate": "numeric",
    },
    "mart.channel_conversion": {
        "channel": "text",
        "session_count": "bigint",
        "touched_user_count": "bigint",
        "converted_user_count": "bigint",
        "conversion_rate": "numeric",
        "hours_to_conversion_avg": "numeric",
        "hours_to_conversion_median": "numeric",
        "hours_to_conversion_p90": "numeric",
    },
    "mart.acquisition_daily": {
        "activity_date": "date",
        "channel": "text",
        "session_count": "bigint",
        "paid_session_count": "bigint",
        "registration_count": "bigint",
    },
    "mart.load_history": {
        "feed": "text",
        "source_file": "text",
        "status": "text",
        "record_count": "bigint",
        "loaded_count": "bigint",
        "rejected_count": "bigint",
        "error": "text",
        "run_id": "text",
    },
    "mart.reject_summary": {"feed": "text", "load_date": "date", "reason": "text", "record_count": "bigint"},
    "mart.gate_results": {
        "run_id": "text",
        "gate": "text",
        "check_name": "text",
        "severity": "text",
        "status": "text",
        "failing_row_count": "bigint",
    },
    "mart.publications": {"run_id": "text", "as_of_date": "date", "rules_version": "text", "row_counts": "jsonb"},
    "dwh.dim_dates": {"calendar_date": "date"},
    "dwh.dim_channels": {"channel": "text"},
    "dwh.dim_acquisition_users": {"user_id": "text"},
    "dwh.dim_users": {
        "identity": "text",
        "user_id": "text",
        "domains": "text",
        "first_date": "date",
        "last_date": "date",
    },
    "dwh.fct_sessions": {
        "session_sk": "uuid",
        "user_id": "text",
        "session_started_at": "timestamp with time zone",
        "is_paid": "boolean",
        "channel": "text",
    },
    "dwh.fct_registrations": {
        "registration_sk": "uuid",
        "user_id": "text",
        "registered_at": "timestamp with time zone",
        "attributed_channel": "text",
        "attributed_session_sk": "uuid",
        "attributed_session_started_at": "timestamp with time zone",
        "attributed_age_hours": "numeric",
        "touch_count": "bigint",
        "unattributed_reason": "text",
    },
    "raw._loads": {
        "load_id": "bigint",
        "feed": "text",
        "source_file": "text",
        "sha256": "text",
        "size_bytes": "bigint",
        "record_count": "bigint",
        "loaded_count": "bigint",
        "rejected_count": "bigint",
        "status": "text",
        "error": "text",
        "started_at": "timestamp with time zone",
        "finished_at": "timestamp with time zone",
        "run_id": "text",
    },
    "raw._changed_days": {"feed": "text", "event_date": "date", "load_id": "bigint"},
    "raw.sessions": {
        "userid": "bigint",
        "time_started": "timestamp with time zone",
        "is_paid": "boolean",
        "medium": "text",
        "_load_id": "bigint",
    },
    "raw.conversions": {"userid": "bigint", "registration_time": "timestamp with time zone", "_load_id": "bigint"},
}


def test_tables_columns_and_types_are_the_documented_ones(pipeline: Pipeline) -> None:
    pipeline.run()
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in pipeline.query(
        "select table_schema, table_name, column_name, data_type from information_schema.columns"
    ):
        found.setdefault(f"{schema}.{table}", {})[column] = kind
    for table, columns in COLUMNS.items():
        assert columns.items() <= found.get(table, {}).items(), table
    assert pipeline.query("show timezone") == [("UTC",)]


def test_tables_and_columns_carry_their_descriptions(pipeline: Pipeline) -> None:
    pipeline.run()
    bare = pipeline.query(
        """
        select relname, attname from pg_class inner join pg_attribute on pg_class.oid = attrelid
        where relnamespace = 'mart'::regnamespace and relkind in ('r', 'v') and attnum > 0
            and (obj_description(pg_class.oid, 'pg_class') is null or col_description(attrelid, attnum) is null)
        """
    )
    assert bare == []

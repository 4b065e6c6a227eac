"""The tables below the marts: columns and types that others rely on; and what every table and column carries."""

from __future__ import annotations

import psycopg
from support.pipeline import Pipeline
from support.tables import assert_has

from growth import dbt
from growth.settings import PROJECT_ROOT

COLUMNS = {
    "dwh.dim_subscribers": {
        "user_id": "text",
        "country": "text",
        "signup_date": "date",
        "plan_type": "text",
        "valid_from": "timestamp with time zone",
        "valid_to": "timestamp with time zone",
        "is_current": "boolean",
    },
    **{
        f"dwh.dim_subscriptions_by_{strategy}": {
            "subscription_id": "text",
            "user_id": "text",
            "start_date": "date",
            "end_date": "date",
            "monthly_price": "numeric",
            "valid_from": "timestamp with time zone",
            "valid_to": "timestamp with time zone",
            "is_current": "boolean",
        }
        for strategy in ("check", "timestamp")
    },
    "dwh.fct_subscription_months": {"subscription_id": "text", "user_id": "text", "month_start": "date"},
    "dwh.fct_payments": {
        "payment_id": "text",
        "user_id": "text",
        "payment_date": "date",
        "amount": "numeric",
        "currency_code": "text",
    },
    "dwh.fct_viewing": {"user_id": "text", "watch_date": "date", "watched_hours": "numeric"},
    "dwh.fct_user_monthly_metrics": {
        "user_id": "text",
        "month_start": "date",
        "revenue_amount": "numeric",
        "payment_count": "bigint",
        "watched_hours": "numeric",
        "active_day_count": "integer",
        "is_active": "boolean",
        "is_paying": "boolean",
        "is_subscribed": "boolean",
        "plan": "text",
    },
    "dwh.dim_app_users": {
        "app_user_sk": "uuid",
        "identity": "text",
        "user_id": "text",
        "signup_date": "date",
        "country": "text",
        "age_group": "text",
        "gender": "text",
        "user_segment": "text",
        "updated_at": "timestamp with time zone",
        "valid_from": "timestamp with time zone",
        "valid_to": "timestamp with time zone",
        "is_current": "boolean",
    },
    "dwh.dim_products": {
        "product": "text",
        "first_event_date": "date",
        "last_event_date": "date",
    },
    "dwh.dim_event_types": {
        "product": "text",
        "event_type": "text",
        "first_event_date": "date",
        "last_event_date": "date",
        "event_count": "bigint",
    },
    "dwh.dim_countries": {
        "country": "text",
    },
    "dwh.fct_events": {
        "occurred_date": "date",
        "user_key": "integer",
        "slice_key": "integer",
        "occurred_at": "timestamp with time zone",
        "product": "text",
        "event_type": "text",
        "category": "text",
        "platform": "text",
        "country": "text",
        "utm_source": "text",
        "event_id": "text",
        "session_id": "text",
        "duration_microseconds": "bigint",
        "miles_amount": "numeric",
    },
    "dwh.fct_user_activity_daily": {
        "activity_date": "date",
        "user_key": "integer",
        "slice_key": "integer",
        "event_count": "integer",
        "amount_total": "numeric",
    },
    "dwh.fct_user_periods": {
        "period_type": "text",
        "period_start": "date",
        "product": "text",
        "identity": "text",
        "user_id": "text",
        "status": "text",
        "event_count": "bigint",
        "amount_total": "numeric",
    },
    "raw.events": {
        "event_time": "timestamp with time zone",
        "user_id": "text",
        "event_type": "text",
        "transaction_category": "text",
        "miles_amount": "numeric",
        "platform": "text",
        "utm_source": "text",
        "country": "text",
        "_load_id": "bigint",
    },
    "raw.app_events": {"event_id": "text", "product": "text", "event_timestamp": "timestamp with time zone"},
    "raw.app_users": {"user_id": "text", "signup_date": "date", "_extract_date": "date"},
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


def test_columns_and_types_of_dwh_and_raw_are_the_documented_ones(published: Pipeline) -> None:
    assert_has(published, COLUMNS)


def test_schemas_tables_and_columns_carry_their_descriptions(published: Pipeline) -> None:
    """A name that begins with an underscore is the stack's own."""
    bare = published.query(
        """
        select relname, attname from pg_class inner join pg_attribute on pg_class.oid = attrelid
        where relnamespace in ('raw'::regnamespace, 'staging'::regnamespace, 'dwh'::regnamespace, 'mart'::regnamespace)
            and relkind in ('r', 'v') and attnum > 0 and not attisdropped and relname not like '\\_%'
            and (obj_description(pg_class.oid, 'pg_class') is null or col_description(attrelid, attnum) is null)
        """
    )
    assert bare == []
    schemas = published.query(
        "select nspname, obj_description(oid, 'pg_namespace') from pg_namespace where nspname !~ '^pg_|^inf|^public'"
    )
    assert {name for name, _ in schemas} >= {"raw", "staging", "dwh", "mart_candidate", "mart", "mart_previous"}
    assert [name for name, text in schemas if text is None and name != "dq_failures"] == []


def test_every_table_of_a_model_has_statistics_after_a_run(published: Pipeline) -> None:
    """Without them a plan can be 75 times slower, and nothing else would tell (post-hooks of dbt_project.yml)."""
    never = """
        select relname from pg_class
        where relnamespace = %s::regnamespace and relkind in ('r', 'p') and relname !~ '^_' and reltuples < 0
    """
    with psycopg.connect(published.warehouse.conninfo()) as conn:
        found = {schema: {name for (name,) in conn.execute(never, [schema])} for schema in ("dwh", "mart_candidate")}
        seeds = {path.stem for path in (PROJECT_ROOT / "dbt_project" / "seeds").rglob("*.csv")}  # a few rows each
        assert found["dwh"] - seeds == found["mart_candidate"] == set()
        unwritten = {name for (name,) in conn.execute(never, ["mart"])} & set(dbt.mart_names())
        for mart in sorted(unwritten):  # publishing analyzes what it changes
            assert conn.execute(f"select count(*) from mart.{mart}".encode()).fetchone() == (0,), mart

"""The public interface: tables, columns and types that a SQL IDE, a notebook or a dashboard relies on."""

from __future__ import annotations

import psycopg
import pytest
from support.pipeline import Pipeline

from growth import dbt
from growth.settings import PROJECT_ROOT

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
    "mart.active_users": {
        "period_type": "text",
        "period_start": "date",
        "product": "text",
        "country": "text",
        "platform": "text",
        "category": "text",
        "active_user_count": "bigint",
        "event_count": "bigint",
        "is_complete": "boolean",
    },
    "mart.rolling_active_users": {
        "as_of_date": "date",
        "product": "text",
        "active_users_1d": "bigint",
        "active_users_7d": "bigint",
        "active_users_28d": "bigint",
        "active_users_30d": "bigint",
        "stickiness_7d": "numeric",
        "stickiness_28d": "numeric",
        "stickiness_30d": "numeric",
        "is_complete_window_28d": "boolean",
        "is_complete_window_30d": "boolean",
    },
    "mart.growth_accounting": {
        "period_type": "text",
        "period_start": "date",
        "product": "text",
        "country": "text",
        "active_user_count": "bigint",
        "new_user_count": "bigint",
        "retained_user_count": "bigint",
        "resurrected_user_count": "bigint",
        "churned_user_count": "bigint",
        "quick_ratio": "numeric",
        "gross_retention_rate": "numeric",
        "net_churn_rate": "numeric",
        "is_complete": "boolean",
    },
    "mart.retention_cohorts": {
        "period_type": "text",
        "cohort_start": "date",
        "product": "text",
        "country": "text",
        "period_offset": "integer",
        "cohort_size": "bigint",
        "retained_user_count": "bigint",
        "retention_rate": "numeric",
        "is_complete": "boolean",
        "is_complete_cohort": "boolean",
    },
    "mart.power_user_curve": {
        "as_of_date": "date",
        "product": "text",
        "active_day_count": "integer",
        "user_count": "bigint",
        "user_rate": "numeric",
    },
    "mart.usage_daily": {
        "activity_date": "date",
        "product": "text",
        "event_count": "bigint",
        "session_count": "bigint",
        "duration_hours": "numeric",
        "active_user_count": "bigint",
        "active_user_count_7d_average": "numeric",
        "active_user_growth_rate_7d": "numeric",
    },
    "mart.user_lifetimes": {
        "product": "text",
        "identity": "text",
        "user_id": "text",
        "first_event_date": "date",
        "last_event_date": "date",
        "active_day_count": "integer",
        "event_count": "bigint",
        "amount_total": "numeric",
        "engagement_score": "numeric",
    },
    "mart.monthly_revenue": {
        "month_start": "date",
        "country": "text",
        "plan": "text",
        "currency_code": "text",
        "revenue_amount": "numeric",
        "refund_amount": "numeric",
        "payment_count": "bigint",
        "paying_user_count": "bigint",
        "active_user_count": "bigint",
        "arpu_amount": "numeric",
        "arppu_amount": "numeric",
        "is_complete": "boolean",
    },
    "mart.mrr_movements": {
        "month_start": "date",
        "currency_code": "text",
        **dict.fromkeys(
            (
                *("opening_mrr_amount", "new_mrr_amount", "expansion_mrr_amount", "contraction_mrr_amount"),
                *("churn_mrr_amount", "reactivation_mrr_amount", "closing_mrr_amount"),
            ),
            "numeric",
        ),
        **dict.fromkeys(
            (
                *("opening_subscriber_count", "new_subscriber_count", "churned_subscriber_count"),
                *("reactivated_subscriber_count", "closing_subscriber_count"),
            ),
            "bigint",
        ),
        "subscriber_churn_rate": "numeric",
        "ltv_amount": "numeric",
        "is_complete": "boolean",
    },
    "mart.revenue_retention": {
        "cohort_month": "date",
        "month_offset": "integer",
        "currency_code": "text",
        "cohort_size": "bigint",
        "revenue_amount": "numeric",
        "cumulative_revenue_amount": "numeric",
        "cumulative_revenue_per_user_amount": "numeric",
    },
    "mart.channel_quality": {
        "registration_month": "date",
        "channel": "text",
        "registration_count": "bigint",
        "activated_user_count": "bigint",
        "retained_user_count_30d": "bigint",
        "paying_user_count": "bigint",
        "revenue_amount_90d": "numeric",
        "revenue_per_user_amount_90d": "numeric",
        "currency_code": "text",
    },
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
    "mart.nday_retention": {
        "cohort_month": "date",
        "product": "text",
        "segment_type": "text",
        "segment_value": "text",
        "day_number": "integer",
        "retention_type": "text",
        "eligible_user_count": "bigint",
        "retained_user_count": "bigint",
        "retention_rate": "numeric",
    },
    "mart.engagement_funnel": {
        "product": "text",
        "step_number": "integer",
        "step_name": "text",
        "user_count": "bigint",
        "step_conversion_rate": "numeric",
        "overall_conversion_rate": "numeric",
        "median_hours_from_previous": "numeric",
    },
    "mart.engagement_concentration": {
        "as_of_date": "date",
        "product": "text",
        "top_percent": "integer",
        "event_count": "bigint",
        "event_rate": "numeric",
    },
    "mart.cross_product_usage": {
        "period_start": "date",
        "product_count": "integer",
        "user_count": "bigint",
        "user_rate": "numeric",
    },
    "mart.product_overlap": {
        "period_start": "date",
        "product_a": "text",
        "product_b": "text",
        "user_count": "bigint",
        "rate_of_a": "numeric",
        "rate_of_b": "numeric",
    },
    "mart.segment_usage": {
        "period_start": "date",
        "product": "text",
        "segment_type": "text",
        "segment_value": "text",
        "active_user_count": "bigint",
        "event_count": "bigint",
        "events_per_user": "numeric",
    },
    "mart.engagement_distribution": {
        "as_of_date": "date",
        "product": "text",
        "user_segment": "text",
        "score_bucket": "integer",
        "user_count": "bigint",
    },
    "mart.churn_risk": {
        "product": "text",
        "identity": "text",
        "user_id": "text",
        "as_of_date": "date",
        "recency_days": "integer",
        "frequency_28d": "integer",
        "event_count_7d": "bigint",
        "event_count_28d": "bigint",
        "event_count_ratio": "numeric",
        "tenure_days": "integer",
        "active_day_count": "integer",
        "product_count": "integer",
        "missed_day_count": "numeric",
        "churn_risk_score": "numeric",
        "churn_risk_band": "text",
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
    "mart.dbt_invocations": {
        "invocation_id": "text",
        "run_id": "text",
        "task_id": "text",
        "status": "text",
        "failed_nodes": "ARRAY",
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


def test_schemas_tables_and_columns_carry_their_descriptions(pipeline: Pipeline) -> None:
    """A name that begins with an underscore is the stack's own."""
    pipeline.run()
    bare = pipeline.query(
        """
        select relname, attname from pg_class inner join pg_attribute on pg_class.oid = attrelid
        where relnamespace in ('raw'::regnamespace, 'staging'::regnamespace, 'dwh'::regnamespace, 'mart'::regnamespace)
            and relkind in ('r', 'v') and attnum > 0 and not attisdropped and relname not like '\\_%'
            and (obj_description(pg_class.oid, 'pg_class') is null or col_description(attrelid, attnum) is null)
        """
    )
    assert bare == []
    schemas = pipeline.query(
        "select nspname, obj_description(oid, 'pg_namespace') from pg_namespace where nspname !~ '^pg_|^inf|^public'"
    )
    assert {name for name, _ in schemas} >= {"raw", "staging", "dwh", "mart_candidate", "mart", "mart_previous"}
    assert [name for name, text in schemas if text is None and name != "dq_failures"] == []


@pytest.mark.usefixtures("published")
def test_every_table_of_a_model_has_statistics_after_a_run(pipeline: Pipeline) -> None:
    """Without them a plan can be 75 times slower, and nothing else would tell (post-hooks of dbt_project.yml)."""
    never = """
        select relname from pg_class
        where relnamespace = %s::regnamespace and relkind in ('r', 'p') and relname !~ '^_' and reltuples < 0
    """
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        found = {schema: {name for (name,) in conn.execute(never, [schema])} for schema in ("dwh", "mart_candidate")}
        seeds = {path.stem for path in (PROJECT_ROOT / "dbt_project" / "seeds").rglob("*.csv")}  # a few rows each
        assert found["dwh"] - seeds == found["mart_candidate"] == set()
        unwritten = {name for (name,) in conn.execute(never, ["mart"])} & set(dbt.mart_names())
        for mart in sorted(unwritten):  # publishing analyzes what it changes
            assert conn.execute(f"select count(*) from mart.{mart}".encode()).fetchone() == (0,), mart

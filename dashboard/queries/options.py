"""What the filters offer."""

from __future__ import annotations

from dashboard.query import Query

SPANS = (
    Query("select min(activity_date), max(activity_date) from mart.acquisition_daily", ("acquisition_daily",)),
    Query("select min(activity_date), max(activity_date) from mart.usage_daily", ("usage_daily",)),
    Query("select min(month_start), max(month_start) from mart.monthly_revenue", ("monthly_revenue",)),
)
VALUES = {
    "product": (Query("select distinct product from mart.usage_daily where product <> 'all'", ("usage_daily",)),),
    "country": (
        Query(
            "select distinct country from mart.active_users where period_type = 'month' and country <> 'all'",
            ("active_users",),
        ),
        Query("select distinct country from mart.monthly_revenue where country <> 'all'", ("monthly_revenue",)),
    ),
    "category": (
        Query(
            "select distinct category from mart.active_users where period_type = 'month' and category <> 'all'",
            ("active_users",),
        ),
    ),
    "platform": (
        Query(
            "select distinct platform from mart.active_users where period_type = 'month' and platform <> 'all'",
            ("active_users",),
        ),
    ),
    "plan": (Query("select distinct plan from mart.monthly_revenue where plan <> 'all'", ("monthly_revenue",)),),
}
# Payments have currencies of their own; recurring revenue has that of the contract, and zeros without a subscriber.
CURRENCIES = (
    Query("select distinct currency_code from mart.monthly_revenue", ("monthly_revenue",)),
    Query(
        "select distinct currency_code from mart.mrr_movements"
        " where opening_subscriber_count > 0 or closing_subscriber_count > 0",
        ("mrr_movements",),
    ),
)
MODELS = (Query("select distinct attribution_model from mart.channel_attribution", ("channel_attribution",)),)

{{ config(materialized='view') }}
-- Grain: one row per subscription and stretch of extracts in which nothing of it changed (slowly changing, type 2).
-- Half-open [valid_from, valid_to), midnights (UTC) of extract dates.
{{ versions(
    ref('snap_subscriptions_by_check'), 'subscriptions', 'subscription_sk', 'subscription_id',
    ['user_id', 'start_date', 'end_date', 'monthly_price'],
) }}

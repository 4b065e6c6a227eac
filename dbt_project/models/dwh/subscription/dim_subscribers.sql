{{ config(materialized='view') }}
-- Grain: one row per subscriber and stretch of extracts in which nothing changed (slowly changing, type 2).
-- Half-open [valid_from, valid_to), midnights (UTC) of extract dates.
{{ versions(
    ref('snap_subscribers'), 'subscribers', 'subscriber_sk', 'user_id', ['country', 'signup_date', 'plan_type'],
) }}

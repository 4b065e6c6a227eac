{{ config(
    materialized='incremental', incremental_strategy='rebuild_user_slices', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['user_key']}, {'columns': ['month_start']}],
) }}
-- Grain: one row per calendar month, user and slice with at least one event.
-- rebuild_user_slices builds the changed users' rows of the changed months anew, from the user-days.
with activity as (select * from {{ ref('fct_user_activity_daily') }}),

changed_keys as (
    {{ changed_user_keys() }}
),

final as (
    select
        {{ month_start('activity_date') }} as month_start,
        user_key,
        slice_key,
        cast(sum(event_count) as integer) as event_count,
        {{ sum_where_any('amount_total') }} as amount_total,
        min(activity_date) as first_date,
        max(activity_date) as last_date,
        -- bit 0 is the first day of the month: a day in several slices counts once in a union of their bits
        bit_or({{ day_bit('activity_date - ' ~ month_start('activity_date')) }}) as day_bits
    from activity
    {% if is_incremental() %}
        where
            {{ in_period_days('month', pending_days(event_feeds()), 'activity_date') }}
            and user_key in (select changed_keys.user_key from changed_keys)
    {% endif %}
    group by {{ month_start('activity_date') }}, user_key, slice_key
)

select * from final

{{ config(
    materialized='incremental', incremental_strategy='rebuild_user_periods', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['user_key']}, {'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per ISO week or calendar month, user and slice with at least one event.
-- rebuild_user_periods builds the changed users' rows of the changed weeks and months anew, from the user-days.
{% set changed = pending_days(event_feeds()) %}
with activity as (select * from {{ ref('fct_user_activity_daily') }}),

changed_keys as (
    {{ changed_user_keys() }}
),

final as (
    {% for type in ['week', 'month'] %}
        select
            '{{ type }}' as period_type,
            {{ period_start(type, 'activity_date') }} as period_start,
            user_key,
            slice_key,
            cast(sum(event_count) as integer) as event_count,
            sum(amount_total) as amount_total,
            min(activity_date) as first_date,
            max(activity_date) as last_date,
            -- bit 0 is the first day of the period: a day in several slices counts once in a union of their bits
            bit_or({{ day_bit('activity_date - ' ~ period_start(type, 'activity_date')) }}) as day_bits
        from activity
        {% if is_incremental() %}
            where
                {{ in_period_days(type, changed, 'activity_date') }}
                and user_key in (select changed_keys.user_key from changed_keys)
        {% endif %}
        group by {{ period_start(type, 'activity_date') }}, user_key, slice_key
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final

{{ config(materialized='view') }}
-- Grain: one row per day, ISO week or month, product (or `all`) and user who is active in it, or was in the one before.
-- A view: its rows follow from the rollups and would be several times theirs; see docs/decisions.
with newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

{% for type in period_types() %}
    {% for track in ['all', 'product'] %}
        {{ type }}_{{ track }} as (
            select
                {{ period_start(type, 'activity.activity_date') }} as period_start,
                activity.user_key,
                {{ 'slices.product' if track == 'product' else "'all'" }} as product,
                sum(activity.event_count) as event_count,
                sum(activity.amount_total) as amount_total
            from {{ ref('fct_user_activity_daily') }} as activity
            {% if track == 'product' %}
                inner join {{ ref('int_engagement__slices') }} as slices on activity.slice_key = slices.slice_key
            {% endif %}
            group by 1, 2, 3
        ),
    {% endfor %}
{% endfor %}

statuses as (
    {% for type in period_types() %}
        {% for track in ['all', 'product'] %}
            select
                '{{ type }}' as period_type,
                active.period_start,
                active.product,
                active.user_key,
                case
                    when {{ period_start(type, 'tracks.first_date') }} = active.period_start then 'new'
                    when earlier.user_key is not null then 'retained'
                    else 'resurrected'
                end as status,
                active.event_count,
                active.amount_total
            from {{ type }}_{{ track }} as active
            inner join {{ ref('int_engagement__user_tracks') }} as tracks
                on
                    active.user_key = tracks.user_key
                    and active.product = tracks.product
                    and tracks.country = 'all'
            left join {{ type }}_{{ track }} as earlier
                on
                    active.user_key = earlier.user_key
                    and active.product = earlier.product
                    and earlier.period_start = {{ previous_period(type, 'active.period_start') }}
            union all
            select
                '{{ type }}' as period_type,
                {{ next_period(type, 'earlier.period_start') }} as period_start,
                earlier.product,
                earlier.user_key,
                'churned' as status,
                0 as event_count,
                cast(null as numeric) as amount_total
            from {{ type }}_{{ track }} as earlier
            cross join newest
            left join {{ type }}_{{ track }} as active
                on
                    earlier.user_key = active.user_key
                    and earlier.product = active.product
                    and active.period_start = {{ next_period(type, 'earlier.period_start') }}
            where active.user_key is null and {{ next_period(type, 'earlier.period_start') }} <= newest.newest_date
            {{ 'union all' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        statuses.period_type,
        statuses.period_start,
        statuses.product,
        user_keys.identity,
        user_keys.user_id,
        statuses.status,
        cast(statuses.event_count as bigint) as event_count,
        statuses.amount_total
    from statuses
    inner join {{ ref('int_engagement__user_keys') }} as user_keys on statuses.user_key = user_keys.user_key
)

select * from final

{{ config(
    materialized='incremental', incremental_strategy='rebuild_open_tracks', on_schema_change='fail',
    meta={
        'feeds': ['events', 'app_events'],
        'versioned_by': 'funnel_steps',
        'versioned_by_var': 'funnel_window_days',
        'one_row': 'step_number = 1',
        'last_instant': "reached_at + interval '" ~ var('funnel_window_days') ~ "' day",
    },
    indexes=[{'columns': ['user_key']}],
) }}
-- Grain: one row per product, user who began its funnel, and step that the user reached.
-- A step counts from its first event at or after the step before, within the window from the user's first step 1.
-- rebuild_open_tracks builds changed users anew whose window was open on a changed day; everyone when the steps or the
-- window were edited.
{% set step_count = 10 %} {# the seed has no more #}
{% set tracks = open_tracks() %}
with steps as (
    select
        {{ slice_text('product') }} as product,
        {{ clean_text('step_name') }} as event_type,
        -- numbers may have gaps
        row_number() over (partition by {{ slice_text('product') }} order by step_number) as step_number
    from {{ ref('funnel_steps') }}
),

-- all events are read once where everyone is built, by user where few are
step_1 as (
    select
        events.user_key,
        events.product,
        min(events.occurred_at) as reached_at
    {% if builds_open_tracks() %}
        from (
            {{ tracks }}
        ) as tracks
        inner join steps on tracks.product = steps.product
        inner join {{ ref('fct_events') }} as events
            on
                tracks.user_key = events.user_key
                and tracks.product = events.product
                and steps.event_type = events.event_type
        where steps.step_number = 1
    {% else %}
        from {{ ref('fct_events') }} as events
        inner join steps on events.product = steps.product and events.event_type = steps.event_type
        where events.user_key is not null and steps.step_number = 1
    {% endif %}
    group by events.user_key, events.product
),

-- events of later steps that may count, and with each how far its user has come
level_1 as (
    select
        events.user_key,
        events.product,
        steps.step_number,
        events.occurred_at,
        step_1.reached_at
    from step_1
    inner join {{ ref('fct_events') }} as events
        on
            step_1.user_key = events.user_key
            and step_1.product = events.product
            and step_1.reached_at <= events.occurred_at
            and step_1.reached_at + interval '{{ var('funnel_window_days') }}' day >= events.occurred_at
    inner join steps
        on events.product = steps.product and events.event_type = steps.event_type and steps.step_number > 1
),

{% for number in range(2, step_count + 1) %}
    level_{{ number }} as (
        select
            user_key,
            product,
            step_number,
            occurred_at,
            reached_at as previous_at,
            min(case when step_number = {{ number }} then occurred_at end) over (partition by user_key, product)
                as reached_at
        from level_{{ number - 1 }}
        where step_number >= {{ number }} and occurred_at >= reached_at
    ),
{% endfor %}

final as (
    select
        product,
        user_key,
        1 as step_number,
        reached_at,
        cast(null as bigint) as microseconds_from_previous
    from step_1
    {% for number in range(2, step_count + 1) %}
        union all
        select
            product,
            user_key,
            {{ number }} as step_number,
            reached_at,
            {{ microseconds_between('previous_at', 'reached_at') }} as microseconds_from_previous
        from level_{{ number }}
        where step_number = {{ number }} and occurred_at = reached_at
        group by product, user_key, previous_at, reached_at
    {% endfor %}
)

select * from final

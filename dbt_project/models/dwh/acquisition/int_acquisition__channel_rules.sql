{{ config(meta={'versioned_by': 'attribution_rules'}) }}
-- Grain: one row per channel, is_paid and rule of the rule table that a session of both can satisfy.
with channels as (select * from {{ ref('dim_channels') }}),

rules as (
    select
        priority,
        -- null media are called (none), which is no upper case
        replace({{ channel_text('channel') }}, '(NONE)', '(none)') as channel,
        is_paid,
        dense_rank() over (order by priority) as rule_rank,
        window_hours,
        label
    from {{ ref('attribution_rules') }}
),

kinds as (
    select
        channel,
        true as is_paid
    from channels
    union all
    select
        channel,
        false as is_paid
    from channels
),

matches as (
    select
        kinds.channel,
        kinds.is_paid,
        rules.priority,
        cast(rules.rule_rank as integer) as rule_rank,
        rules.label,
        cast(floor(rules.window_hours * 3600000000) as bigint) as window_microseconds
    from kinds
    inner join rules on rules.is_paid is null or kinds.is_paid = rules.is_paid
    where
        kinds.channel = rules.channel
        -- * stands for every channel that no rule above it names, whatever else that rule asks for
        or (
            rules.channel = '*'
            and not exists (
                select 1 from rules as above
                where above.channel = kinds.channel and above.priority < rules.priority
            )
        )
),

final as (
    select
        *,
        priority = min(priority) over (partition by channel, is_paid) as is_first_rule
    from matches
)

select * from final

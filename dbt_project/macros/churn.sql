{#
    Churn risk (docs/metrics.md#churn-risk), in one place for the mart and for the back-test: the features of every user
    and product as of a day, and the score.

    `lives` is a relation with, as of that day, user_key, product, first_date, last_date, active_day_count and
    product_count; `recent` is one like int_engagement__recent_activity; `as_of` is SQL of the day.
#}
{% macro churn_risk(lives, recent, as_of) %}
    select
        *,
        case
            when churn_risk_score < 0.2 then 'low'
            when churn_risk_score < 0.5 then 'medium'
            else 'high'
        end as churn_risk_band
    from (
        select
            *,
            -- silence / (silence + patience): silence is the days since the last one, and the active days that would have
            -- been in them; patience is a third of the user's time with us, newcomers have some, too.
            round(3 * (1 + recency_days + missed_day_count) / (3 * (1 + recency_days + missed_day_count) + tenure_days + 20), 10)
                as churn_risk_score
        from (
            select
                lives.user_key,
                lives.product,
                {{ as_of }} - lives.last_date as recency_days,
                coalesce(recent.active_day_count, 0) as frequency_28d,
                coalesce(recent.event_count_7d, 0) as event_count_7d,
                coalesce(recent.event_count, 0) as event_count_28d,
                cast(recent.event_count_7d as numeric) / recent.event_count as event_count_ratio,
                {{ as_of }} - lives.first_date as tenure_days,
                lives.active_day_count,
                lives.product_count,
                cast(lives.active_day_count * ({{ as_of }} - lives.last_date) as numeric)
                / (lives.last_date - lives.first_date + 1) as missed_day_count
            from {{ lives }} as lives
            left join {{ recent }} as recent
                on lives.user_key = recent.user_key and lives.product = recent.product
            {{ computed_once() }}
        ) as features
        {{ computed_once() }}
    ) as scores
{% endmacro %}

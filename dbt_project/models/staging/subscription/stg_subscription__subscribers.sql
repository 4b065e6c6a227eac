-- Grain: one row per extract and user; where an extract has a user twice, the greatest in the order of its columns, so
-- that the order of files does not matter.
with source as (select * from {{ source('subscription', 'subscribers') }}),

cleaned as (
    select
        _extract_date as extract_date,
        {{ clean_text('user_id') }} as user_id,
        {{ slice_text('country') }} as country,
        signup_date,
        {{ slice_text('plan_type') }} as plan_type
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by extract_date, user_id
            order by
                signup_date desc nulls last,
                {{ byte_order('country') }} desc nulls last,
                {{ byte_order('plan_type') }} desc nulls last
        ) as place
    from cleaned
    where user_id is not null
),

final as (
    select
        extract_date,
        user_id,
        country,
        signup_date,
        plan_type
    from ranked
    where place = 1
)

select * from final

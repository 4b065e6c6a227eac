-- Grain: one row per extract and subscription; where an extract has a subscription twice, the greatest in the order of
-- its columns, so that the order of files does not matter.
with source as (select * from {{ source('subscription', 'subscriptions') }}),

cleaned as (
    select
        _extract_date as extract_date,
        {{ clean_text('subscription_id') }} as subscription_id,
        {{ clean_text('user_id') }} as user_id,
        start_date,
        end_date,
        {{ plain_number('monthly_price') }} as monthly_price
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by extract_date, subscription_id
            order by
                start_date desc,
                end_date desc nulls last,
                monthly_price desc,
                {{ byte_order('user_id') }} desc
        ) as place
    from cleaned
    where subscription_id is not null and user_id is not null
),

final as (
    select
        extract_date,
        subscription_id,
        user_id,
        start_date,
        end_date,
        monthly_price
    from ranked
    where place = 1
)

select * from final

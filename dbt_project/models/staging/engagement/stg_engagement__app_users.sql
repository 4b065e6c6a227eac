-- Grain: one row per extract and user; where an extract has a user twice, the row that was changed last, then the
-- greatest in the order of its columns, so that the order of files does not matter.
with source as (select * from {{ source('engagement', 'app_users') }}),

cleaned as (
    select
        _extract_date as extract_date,
        {{ clean_text('user_id') }} as user_id,
        signup_date,
        {{ slice_text('country') }} as country,
        {{ slice_text('age_group') }} as age_group,
        {{ slice_text('gender') }} as gender,
        {{ slice_text('user_segment') }} as user_segment,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by user_id, extract_date -- the order that the history of a user goes on with
            order by
                updated_at desc nulls last,
                signup_date desc nulls last,
                {{ byte_order('country') }} desc nulls last,
                {{ byte_order('age_group') }} desc nulls last,
                {{ byte_order('gender') }} desc nulls last,
                {{ byte_order('user_segment') }} desc nulls last
        ) as place
    from cleaned
    where user_id is not null
),

final as (
    select
        extract_date,
        user_id,
        signup_date,
        country,
        age_group,
        gender,
        user_segment,
        updated_at
    from ranked
    where place = 1
)

select * from final

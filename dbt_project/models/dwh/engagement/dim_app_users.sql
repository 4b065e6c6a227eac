{{ config(
    materialized='incremental', incremental_strategy='rebuild_history', on_schema_change='fail',
    meta={'feeds': ['app_users']},
    indexes=[{'columns': ['user_id', 'valid_from']}],
) }}
-- Grain: one row per account and stretch of extracts in which nothing of it changed (slowly changing, type 2).
-- Half-open [valid_from, valid_to), midnights (UTC) of extract dates: a row that an extract lacks is closed at that
-- extract's date. rebuild_history replays the extracts from the one before the first that changed: what is older stays.
{% set attributes = ['signup_date', 'country', 'age_group', 'gender', 'user_segment', 'updated_at'] %}
{% set replayed = replayed_extracts('app_users') %}
with extracts as (
    select
        extract_date,
        lag(extract_date) over (order by extract_date) as previous_extract_date,
        lead(extract_date) over (order by extract_date) as next_extract_date
    from ({{ extract_dates('app_users') }}) as dates
),

accounts as (
    select * from {{ ref('stg_engagement__app_users') }}
    {% if is_incremental() %}
        where extract_date >= {{ replayed }}
    {% endif %}
),

consecutive as (
    select
        previous_extract_date as earlier_date,
        extract_date as later_date
    from extracts
    where previous_extract_date is not null
),

neighbours as (
    select
        *,
        lag(extract_date) over (partition by user_id order by extract_date) as earlier_date,
        lead(extract_date) over (partition by user_id order by extract_date) as later_date,
        {{ is_unlike(attributes, 'lag') }} as is_unlike_earlier,
        {{ is_unlike(attributes, 'lead') }} as is_unlike_later
    from accounts
),

-- a stretch begins and ends where the account is another in the extract beside it, or is not in that
marks as (
    select
        *,
        is_unlike_earlier or earlier_date is null
        or (earlier_date, extract_date) not in (
            select
                consecutive.earlier_date,
                consecutive.later_date
            from consecutive
        ) as is_start,
        is_unlike_later or later_date is null
        or (extract_date, later_date) not in (
            select
                consecutive.earlier_date,
                consecutive.later_date
            from consecutive
        ) as is_end
    from neighbours
),

stretches as (
    select
        *,
        case when is_end then extract_date else lead(extract_date) over (partition by user_id order by extract_date) end
            as last_extract_date
    from marks
    where is_start or is_end
),

dated as (
    select
        stretches.*,
        {% if is_incremental() %}
            coalesce(kept.valid_from, {{ utc_midnight('stretches.extract_date') }}) as valid_from,
        {% else %}
            {{ utc_midnight('stretches.extract_date') }} as valid_from,
        {% endif %}
        {{ utc_midnight('ends.next_extract_date') }} as valid_to,
        ends.next_extract_date is null as is_current
    from stretches
    inner join extracts as ends on stretches.last_extract_date = ends.extract_date
    {% if is_incremental() %}
        -- a stretch that begins with the first extract replayed goes on from the version that held then
        left join {{ this }} as kept
            on
                stretches.extract_date = {{ replayed }}
                and stretches.user_id = kept.user_id
                and kept.valid_from <= {{ utc_midnight(replayed) }}
                and (kept.valid_to is null or kept.valid_to > {{ utc_midnight(replayed) }})
    {% endif %}
    where
        stretches.is_start
        {% if is_incremental() %}
            -- what ends as it did is left as it stands
            and (kept.user_id is null or kept.valid_to is distinct from {{ utc_midnight('ends.next_extract_date') }})
        {% endif %}
),

final as (
    select
        {{ surrogate_key(["'" ~ feed_contract('app_users').identity ~ "'", 'user_id', utc_text('valid_from')]) }}
            as app_user_sk,
        '{{ feed_contract('app_users').identity }}' as identity,
        user_id,
        {{ attributes | join(',\n        ') }},
        valid_from,
        valid_to,
        is_current
    from dated
)

select * from final

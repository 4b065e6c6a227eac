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
        row_number() over (order by extract_date) as extract_number,
        lead(extract_date) over (order by extract_date) as next_extract_date
    from ({{ extract_dates('app_users') }}) as dates
),

accounts as (
    select
        extracts.extract_number,
        extracts.next_extract_date,
        users.*,
        {{ surrogate_key(attributes) }} as content
    from {{ ref('stg_engagement__app_users') }} as users
    inner join extracts on users.extract_date = extracts.extract_date
    {% if is_incremental() %}
        where users.extract_date >= {{ replayed }}
    {% endif %}
),

marks as (
    select
        *,
        case
            when
                lag(content) over (partition by user_id order by extract_number) = content
                and lag(extract_number) over (partition by user_id order by extract_number) = extract_number - 1
                then 0
            else 1
        end as is_start
    from accounts
),

stretches as (
    select
        *,
        sum(is_start) over (partition by user_id order by extract_number) as stretch
    from marks
),

versions as (
    select
        user_id,
        content,
        {{ attributes | join(',\n        ') }},
        min(extract_date) as first_extract_date,
        max(extract_date) as last_extract_date
    from stretches
    group by user_id, stretch, content, {{ attributes | join(', ') }}
),

dated as (
    select
        versions.*,
        {% if is_incremental() %}
            coalesce(kept.valid_from, {{ utc_midnight('versions.first_extract_date') }}) as valid_from,
        {% else %}
            {{ utc_midnight('versions.first_extract_date') }} as valid_from,
        {% endif %}
        {{ utc_midnight('ends.next_extract_date') }} as valid_to,
        ends.next_extract_date is null as is_current
    from versions
    inner join extracts as ends on versions.last_extract_date = ends.extract_date
    {% if is_incremental() %}
        -- a stretch that begins with the first extract replayed goes on from the version that held then
        left join {{ this }} as kept
            on
                versions.first_extract_date = {{ replayed }}
                and versions.user_id = kept.user_id
                and kept.valid_from <= {{ utc_midnight(replayed) }}
                and (kept.valid_to is null or kept.valid_to > {{ utc_midnight(replayed) }})
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

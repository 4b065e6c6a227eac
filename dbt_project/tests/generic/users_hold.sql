{#
    The rows of a new day name users as those of the days before did: not less than half as many, nor all one and the
    same. A tracker that lost its users, or sends one id for everybody, stops here. Where hardly a row ever names a user,
    nothing is judged. The smallest id and the largest, by their bytes, tell whether all are one: to count different ones
    takes five times as long.
#}
{% test users_hold(model, user, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set user_id = 'cast(' ~ user ~ ' as text) collate "C"' %}
{%- set named = 'count(' ~ clean_text(user_id) ~ ')' %}
{%- set figures = [
    ('share that names a user', named, 'cast(' ~ named ~ ' as numeric) / count(*)'),
    ('all name one user', named, 'cast(min(' ~ user_id ~ ') = max(' ~ user_id ~ ') as integer)'),
] %}
select * from ({{ figures_compared(model, event_time, values_to_compare(feed), figures) }}) as figures
where
    least(row_count, expected_count) >= {{ var('volume_min_rows') }}
    and case
        when figure like 'share %' then value < {{ var('users_min_rate') }} * expected_value
        else value > expected_value and value_count >= {{ var('volume_min_rows') }}
    end
{% endtest %}

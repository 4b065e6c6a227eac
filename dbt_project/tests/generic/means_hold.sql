{#
    Amounts of a new day (or extract) are of the size and the sign of those before: prices in cents, durations in
    milliseconds and signs turned round stop here. The size is the mean without signs, since amounts that cancel each
    other out have a mean that moves at random; the sign is the share that what is above 0 has of all sizes.
#}
{% test means_hold(model, columns, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set figures = [] %}
{%- for column in columns %}
{%- set size = 'abs(' ~ column ~ ')' %}
{%- set above_0 = 'sum(' ~ column ~ ') filter (where ' ~ column ~ ' > 0)' %}
{%- do figures.append(('mean size of ' ~ column, 'count(' ~ column ~ ')', 'avg(' ~ size ~ ')')) %}
{%- do figures.append((
    'share above 0 of ' ~ column, 'count(' ~ column ~ ')',
    'coalesce(' ~ above_0 ~ ', 0) / nullif(sum(' ~ size ~ '), 0)',
)) %}
{%- endfor %}
{%- set pairs = extracts_to_compare(feed) if event_time == '_extract_date' else values_to_compare(feed) %}
select * from ({{ figures_compared(model, event_time, pairs, figures) }}) as figures
where
    least(value_count, expected_count) >= {{ var('volume_min_rows') }}
    and case
        when figure like 'mean %'
            then
                expected_value > 0
                and (
                    value * {{ var('mean_max_factor') }} < expected_value
                    or value > {{ var('mean_max_factor') }} * expected_value
                )
        else abs(value - expected_value) > {{ var('sign_max_shift') }}
    end
{% endtest %}

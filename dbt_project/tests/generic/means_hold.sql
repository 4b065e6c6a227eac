{#
    Amounts of a new day (or extract) are of the size and the sign of those before: prices in cents, durations in
    milliseconds and signs turned round stop here. The size is the geometric mean of what is not 0, without signs: one large
    contract among small ones hardly moves it, another unit moves it whole. Logarithms are taken of floats, of which more
    digits than they have are cut off. The sign is the share of values above 0 in those that are not 0.
#}
{% test means_hold(model, columns, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set figures = [] %}
{%- for column in columns %}
{%- set size = 'abs(' ~ column ~ ')' %}
{%- set logarithm = 'ln(cast(least(greatest(' ~ size ~ ', 1e-300), 1e300) as double precision))' %}
{%- set mean_size = 'coalesce(exp(avg(' ~ logarithm ~ ') filter (where ' ~ column ~ ' <> 0)), 0)' %}
{%- set values_above_or_below_0 = 'count(nullif(' ~ column ~ ', 0))' %}
{%- set value_count = 'coalesce(nullif(' ~ values_above_or_below_0 ~ ', 0), count(' ~ column ~ '))' %}
{%- do figures.append(('mean size of ' ~ column, value_count, mean_size)) %}
{%- set share_above_0 = 'avg(case when ' ~ column ~ ' > 0 then 1.0 when ' ~ column ~ ' < 0 then 0 end)' %}
{%- do figures.append(('share above 0 of ' ~ column, values_above_or_below_0, share_above_0)) %}
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

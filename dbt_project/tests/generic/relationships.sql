{#
    Every value stands in the column `field` of another relation; null refers to nothing. With feed and event_time, only
    days that new loads touched are read of the model, and values are compared as ids of feeds are: as text, without
    white space around it.
#}
{% test relationships(model, column_name, to, field, feed=none, event_time=none) %}
{{ config(tags=['critical']) }}
{%- set own, other = 'child.' ~ column_name, 'parent.' ~ field %}
{%- if feed %}
    {%- set own, other = clean_text('cast(' ~ own ~ ' as text)'), clean_text('cast(' ~ other ~ ' as text)') %}
{%- endif %}
select child.* from {{ model }} as child
where
    child.{{ column_name }} is not null
    and {{ on_touched_days(feed, 'child.' ~ event_time) }}
    and not exists (select 1 from {{ to }} as parent where {{ other }} = {{ own }})
{% endtest %}

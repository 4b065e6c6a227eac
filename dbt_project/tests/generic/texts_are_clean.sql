{# No text is blank, has white space around it or, with upper=true, a lower-case letter: normalisation took place. #}
{% test texts_are_clean(model, column_name, upper=false) %}
{{ config(tags=['critical']) }}
{%- set clean = clean_text(column_name) %}
select {{ column_name }} as value_field, count(*) as n_records from {{ model }}
where {{ column_name }} is not null
    and ({{ clean }} is null or {{ column_name }} <> {{ 'upper(' ~ clean ~ ')' if upper else clean }})
group by {{ column_name }}
{% endtest %}

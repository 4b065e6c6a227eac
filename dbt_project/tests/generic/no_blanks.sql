{#
    A text that the contract requires is more than white space. Models take what is blank for null: they count its events as
    nobody's, and know no account or subscription without an id.
#}
{% test no_blanks(model, columns, feed, event_time) %}
{{ config(tags=['warning'], severity='warn') }}
select * from {{ model }}
where
    {{ on_touched_days(feed, event_time) }}
    and (
    {%- for column in columns %}
        {{ clean_text(column) }} is null{{ ' or' if not loop.last }}
    {%- endfor %}
    )
{% endtest %}

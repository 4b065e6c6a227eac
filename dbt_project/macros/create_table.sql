{#
    dbt-postgres fills a table that has a contract by `insert`, which never reads in parallel. `create table as` does, and
    the types are those of the contract all the same: dbt compares them before. A model with constraints, or with
    another setting of the statement, is left to dbt.
#}
{% macro postgres__create_table_as(temporary, relation, sql) %}
    {%- set constrained = model.get('constraints') or model.columns.values() | map(attribute='constraints') | select | list
        or config.get('unlogged') or config.get('sql_header') %}
    {%- if temporary or constrained or not config.get('contract').enforced %}
        {{- dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- else %}
        {{- get_assert_columns_equivalent(sql) }}
        create table {{ relation }} as {{ get_select_subquery(sql) }};
    {%- endif %}
{% endmacro %}

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

{#
    Comments of a table and its columns, in one statement. dbt looks twice which of the columns are there: with a contract
    that is settled.
#}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) %}
    {%- set is_whole = for_relation and config.persist_relation_docs() and for_columns and config.persist_column_docs() %}
    {%- if is_whole and config.get('contract').enforced %}
        {%- set comments %}
            {{ alter_relation_comment(relation, model.description) }}
            {%- for column in model.columns.values() %}
            comment on column {{ relation }}.{{ adapter.quote(column.name) }} is {{ postgres_escape_comment(column.description) }};
            {%- endfor %}
        {%- endset %}
        {%- do run_query(comments) %}
    {%- else %}
        {{- default__persist_docs(relation, model, for_relation, for_columns) }}
    {%- endif %}
{% endmacro %}

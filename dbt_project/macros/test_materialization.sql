{#
    How a data test runs: dbt's own way; where the real Elementary package is in use, its wrapper around that, which
    writes down the result for its report. dbt wants such an exchange said in the project itself.
#}
{% materialization test, default %}
    {%- if elementary is defined and elementary.materialize_test is defined -%}
        {% do return(elementary.materialize_test(dbt.materialization_test_default)) %}
    {%- else -%}
        {% do return(dbt.materialization_test_default()) %}
    {%- endif -%}
{% endmaterialization %}

"""Tables of a warehouse as its catalogue has them."""

from __future__ import annotations

from collections.abc import Mapping

from support.pipeline import Pipeline


def assert_has(pipeline: Pipeline, documented: Mapping[str, Mapping[str, str]]) -> None:
    """Every table has these columns of these types, and maybe more."""
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in pipeline.query(
        "select table_schema, table_name, column_name, data_type from information_schema.columns"
    ):
        found.setdefault(f"{schema}.{table}", {})[column] = kind
    for table, columns in documented.items():
        assert columns.items() <= found.get(table, {}).items(), table

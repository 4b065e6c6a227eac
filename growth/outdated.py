"""Tables of incremental models that an older release has built with other columns: no run can go on from them.

Source: the columns that the models promise (their contracts are enforced), as dbt parsed them last, and the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from growth.settings import Warehouse

# name and type of the columns that a table has; a type as the server calls it
COLUMNS = """
select attname, atttypid::regtype::text from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
"""
WHAT_TO_DO = (
    "An older release built these tables, and this one cannot go on from them: {tables}. They are rebuilt from raw by "
    "`growth run --full-refresh`, with Docker by growth_daily with the param full_refresh; the marts stay as they are "
    "until then (docs/runbooks/upgrade.md)"
)


def outdated_tables(warehouse: Warehouse, manifest: Mapping[str, Any] | None) -> list[str]:
    """The tables, each with what differs, such as ``dwh.fct_events (slice_key is missing)``.

    Args:
        warehouse: where they are.
        manifest: what dbt parsed last; nothing is said where there is none.
    """
    if manifest is None:
        return []
    # a package's models promise no columns, and it brings its tables up to date by itself
    models = [
        node
        for node in manifest["nodes"].values()
        if node["config"].get("materialized") == "incremental" and node["config"]["contract"]["enforced"]
    ]
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        return [
            f"{model['schema']}.{model['alias']} ({', '.join(differences)})"
            for model in models
            if (differences := _differences(conn, model))
        ]


def _differences(conn: psycopg.Connection, model: Mapping[str, Any]) -> list[str]:
    found: dict[str, str] = dict(conn.execute(COLUMNS, [f"{model['schema']}.{model['alias']}"]).fetchall())
    if not found:
        return []
    lines = []
    for column in model["columns"].values():
        row = conn.execute("select to_regtype(%s)::text", [column["data_type"]]).fetchone()
        wanted, name = row and row[0], column["name"]
        if name not in found:
            lines.append(f"{name} is missing")
        elif wanted and found[name] != wanted:
            lines.append(f"{name} is {found[name]}, not {wanted}")
    return lines + [f"{name} is there no more" for name in sorted(found.keys() - model["columns"].keys())]

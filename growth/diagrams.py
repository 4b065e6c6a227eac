"""The diagrams of docs/data-model.md, from the contracts of the models: ``python -m growth.diagrams`` writes it anew.

Source: the YAML of the dwh and of the marts: columns and types; keys from the tests ``unique``, ``unique_together``
and ``relationships``. Models that are only steps (``int_``) stand in no diagram.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from growth.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "dbt_project" / "models"
DOCUMENT = PROJECT_ROOT / "docs" / "data-model.md"
HEAD = """\
# The data model

Written by `python -m growth.diagrams` from the contracts of the models, which the build enforces; a test says when it
is stale. What the columns mean is in the dbt docs (`growth portal`) and in every SQL IDE; what the numbers mean, in
[metrics.md](metrics.md).
"""
INTRODUCTIONS = {
    "dwh": "## {domain}: facts and dimensions\n\nSchema `dwh`. FK: a test proves that the other table has the key.",
    "mart": "## {domain}: marts\n\nSchema `mart`. The key is the grain: one row for each combination.",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A model: its columns with types, the columns of its key, and column → (model, column) that it refers to."""

    name: str
    columns: dict[str, str]
    key: frozenset[str]
    references: dict[str, tuple[str, str]]


def read_tables(folder: Path) -> list[Table]:
    """Tables of the models in a folder, by name."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml"))]
    models = [model for file in files for model in file.get("models", [])]
    return [_table(model) for model in models if not model["name"].startswith("int_")]


def render() -> str:
    """The whole document."""
    parts = [HEAD]
    domains = {path.name for layer in INTRODUCTIONS for path in (MODELS / layer).iterdir() if path.is_dir()}
    for domain in sorted(domains):
        for layer, introduction in INTRODUCTIONS.items():
            if tables := read_tables(MODELS / layer / domain):
                parts += [introduction.format(domain=domain.capitalize()), _diagram(tables)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _table(model: dict[str, Any]) -> Table:
    columns = {column["name"]: column["data_type"] for column in model["columns"]}
    key: set[str] = set()
    references = {}
    for test in model.get("data_tests", []):
        if isinstance(test, dict) and "unique_together" in test and not key:
            key = {name for name in test["unique_together"]["arguments"]["columns"] if name in columns}
    for column in model["columns"]:
        for test in column.get("data_tests", []):
            if test == "unique" or (isinstance(test, dict) and "unique" in test):
                key = key or {column["name"]}
            elif isinstance(test, dict) and "relationships" in test:
                to = test["relationships"]["arguments"]
                references[column["name"]] = (to["to"].removeprefix("ref('").removesuffix("')"), to["field"])
    return Table(model["name"], columns, frozenset(key), references)


def _diagram(tables: list[Table]) -> str:
    lines = ["```mermaid", "erDiagram"]
    for table in tables:
        lines.append(f"    {table.name} {{")
        for name, kind in table.columns.items():
            marks = ", ".join(mark for mark, has in (("PK", table.key), ("FK", table.references)) if name in has)
            lines.append(f"        {kind.replace(' ', '_')} {name} {marks}".rstrip())
        lines.append("    }")
    for table in tables:
        for name, (target, _) in table.references.items():
            if not target.startswith("int_"):
                lines.append(f"    {target} ||--o{{ {table.name} : {name}")
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")

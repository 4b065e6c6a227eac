"""The list of all checks in docs/data-quality.md, from what dbt parsed: ``python -m growth.checks`` writes it anew.

Source: dbt's manifest and the comments of ``dbt_project/tests/generic``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from growth import parsing
from growth.dbt import LAYERS, TAGS
from growth.settings import PROJECT_ROOT

GATES = ("raw", *LAYERS, "none")
DOCUMENT = PROJECT_ROOT / "docs" / "data-quality.md"
BEGIN, END = "<!-- checks: written by `python -m growth.checks` -->\n", "<!-- end of checks -->\n"


@dataclass(frozen=True, slots=True)
class Check:
    """One test: its kind (``singular`` for a file of its own), what it checks, which gate runs it."""

    name: str
    kind: str
    of: str
    tag: str
    severity: str
    gate: str


def read_checks(manifest: dict[str, Any]) -> list[Check]:
    """Every data test of the project; ``tag`` is what it has of ``TAGS``, by name, with commas between."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    tests = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["package_name"] == "growth" and "elementary" not in node["tags"]
    ]
    return sorted((_check(test, nodes) for test in tests), key=lambda check: (GATES.index(check.gate), check.name))


def render(checks: Iterable[Check]) -> str:
    """The part of the document between its marks."""
    everything = list(checks)
    lines = ["### Kinds", "", "| kind | tag | checks | what holds when it passes |", "|---|---|---|---|"]
    kinds = sorted(everything, key=lambda check: (TAGS.index(check.tag), check.kind))
    for (tag, kind), members in groupby(kinds, key=lambda check: (check.tag, check.kind)):
        lines.append(f"| `{kind}` | {tag} | {len(list(members))} | {describe_kind(kind)} |")
    lines += ["", "### All checks", ""]
    for gate, members in groupby(everything, key=lambda check: check.gate):
        lines += [f"`gate_{gate}`:" if gate != "none" else "In no gate:"]
        lines += ["", "| check | of | severity, tag |", "|---|---|---|"]
        lines += [f"| `{check.name}` | {check.of} | {check.severity}, {check.tag} |" for check in members]
        lines.append("")
    return "\n".join(lines)


def describe_kind(kind: str) -> str:
    """The first sentence of the comment above a generic test."""
    path = PROJECT_ROOT / "dbt_project" / "tests" / "generic" / f"{kind}.sql"
    if not path.exists():
        return ""
    comment = re.match(r"\{#\s*(.*?)\s*#\}", path.read_text(encoding="utf-8"), re.DOTALL)
    return " ".join(comment[1].split()).split(". ")[0].rstrip(".") if comment else ""


def with_checks(document: str, checks: Iterable[Check]) -> str:
    """The document with the list as it is now."""
    before, rest = document.split(BEGIN, 1)
    return before + BEGIN + render(checks) + END + rest.split(END, 1)[1]


def parse() -> list[Check]:
    """The checks as the project stands now; parsing needs no warehouse."""
    from growth import dbt
    from growth.settings import Warehouse

    warehouse = Warehouse.at(os.environ.get("WAREHOUSE_HOST") or "127.0.0.1", 5432)
    result = dbt.invoke(["parse", "--quiet"], warehouse)
    if not result.succeeded:
        raise RuntimeError(result.error)
    manifest = parsing.manifest()
    assert manifest is not None  # it has just parsed
    return read_checks(manifest)


def _check(test: dict[str, Any], nodes: dict[str, Any]) -> Check:
    tags = sorted(set(test["tags"]) & set(TAGS))
    parents = [nodes[parent] for parent in test["depends_on"]["nodes"]]
    attached = nodes.get(test.get("attached_node") or "")
    kind = (test.get("test_metadata") or {}).get("name", "singular")
    of = attached or next(iter(parents), None)
    column = f".{test['column_name']}" if test.get("column_name") else ""
    layers = [_layer(node) for node in parents] + [tag for tag in LAYERS if tag in test["tags"]]
    gate = "none" if "freshness" in tags else max(layers, key=GATES.index, default="none")
    name = f"{_schema(of)}{of['name']}{column}" if of else ""
    return Check(test["name"], kind, name, ",".join(tags), str(test["config"]["severity"]).lower(), gate)


def _layer(node: dict[str, Any]) -> str:
    if node["resource_type"] == "source":
        return "raw"
    return next((tag for tag in LAYERS if tag in node["tags"]), "staging")


def _schema(node: dict[str, Any]) -> str:
    return "raw." if node["resource_type"] == "source" else ""


def main(document: Path = DOCUMENT) -> None:
    """Write the list anew."""
    document.write_text(with_checks(document.read_text(encoding="utf-8"), parse()), encoding="utf-8")


if __name__ == "__main__":
    main()

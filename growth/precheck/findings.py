"""What is wrong, and where it stands: file, line and column, from what each tool says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from growth import dbt

DBT = "dbt_project"
LINE_OF_SQL = re.compile(r"^ *(LINE (\d+): )(.*)$\n^( *)\^", re.MULTILINE)
LINE = re.compile(r"\bline (\d+)(?:, column (\d+))?")
FILE = re.compile(r"[\w./-]+\.(?:sql|yml|yaml|csv|md)\b")
QUOTED = re.compile(r"'([\w.]+)'")
KEY = re.compile(r"^([\w.\[\]]+): ")
FRAME = re.compile(r'^ *File "([^"]+)", line (\d+)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; ``path`` is below the project, line and column count from 1, and are 0 if unknown."""

    text: str
    path: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place}: {self.text}" if place else self.text


def of_contracts(message: str, project: Path) -> Iterator[Finding]:
    """The faults of a ``ContractError``: a line with a file, then the file's faults, indented."""
    path = None
    for line in message.splitlines():
        if not line.startswith("  "):
            path = Path(line.rstrip(":"))
            if not path.is_file():  # no file's fault
                yield Finding(line)
                path = None
        elif path is not None:
            fault = line.strip()
            row, column = _place_in_yaml(path, fault)
            yield Finding(fault, _below(path, project), row, column)


def _place_in_yaml(path: Path, fault: str) -> tuple[int, int]:
    """Where the key stands that a fault begins with; that of the nearest key above where it is missing."""
    if match := LINE.search(fault):  # no YAML: says it itself
        return int(match[1]), int(match[2] or 0)
    key = KEY.match(fault)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError):
        node = None
    if key is None or node is None:
        return 0, 0
    mark = node.start_mark
    for part in re.findall(r"\w+", key[1]):
        if isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == part]
            if not pairs:
                break
            mark, node = pairs[0][0].start_mark, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            mark = node.start_mark
        else:
            break
    return mark.line + 1, mark.column + 1


def of_imports(errors: dict[str, str], project: Path) -> list[Finding]:
    """What Airflow says of DAG files that it cannot import, each cause once."""
    found: dict[tuple[Path, int, str], Finding] = {}
    for file, trace in sorted(errors.items()):
        text = trace.strip().splitlines()[-1]
        frames = [(Path(path), int(line)) for path, line in FRAME.findall(trace)]
        ours = [(path, line) for path, line in frames if (project / "dags") in path.parents]
        path, line = ours[-1] if ours else (Path(file), 0)
        found.setdefault((path, line, text), Finding(text, _below(path, project), line))
    return list(found.values())


def of_dbt(result: dbt.DbtResult, project: Path) -> list[Finding]:
    """What dbt says of a command that failed."""
    if not result.failed:
        return [_of_message(result.error or "dbt failed and did not say why", "", "", project)]
    return [_of_message(failure.message, failure.path, failure.name, project) for failure in result.failed]


def _of_message(message: str, path: str, name: str, project: Path) -> Finding:
    """A finding from one of dbt's texts.

    Args:
        message: what dbt says.
        path: the file of the node, if it is a node's fault.
        name: that of the node.
        project: the project's folder.
    """
    root = project / DBT
    message = re.sub(r"\n *compiled code at .*", "", message.rstrip())  # gone when somebody reads this
    files = (
        [root / path] if path else [root / folder / name for name in FILE.findall(message) for folder in ("", "models")]
    )
    file = next((each for each in files if each.is_file()), None)
    line = column = 0
    if sql := LINE_OF_SQL.search(message):  # a line of what was sent, not of the file
        line, column = _of_statement(file, sql) if file else (0, 0)
    elif match := max(LINE.finditer(message), key=lambda each: bool(each[2]), default=None):
        line, column = int(match[1]), int(match[2] or 0)
        file = file or _file_with(root, line, message[match.end() :])
    elif file:
        names = [each.split(".")[-1] for each in QUOTED.findall(message) if not re.match(r"\w+\.\w+\.", each)]
        line, column = _first_line_with([*names, name], file)
    shown = "" if path and path in message else f"{name}: " if name else ""
    return Finding(shown + message, _below(file, project) if file else "", line, column)


def _of_statement(file: Path, sql: re.Match[str]) -> tuple[int, int]:
    """Line and column of a file that an error of the server points to; zeros where the text is not from there."""
    said, caret = sql[3], len(sql[4]) - len(sql[0].split("LINE")[0]) - len(sql[1])
    text = said.strip().strip(".").strip()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if text and text in line:
            return number, max(line.index(text) + caret - said.index(text), 0) + 1
    return 0, 0


def _file_with(root: Path, number: int, after: str) -> Path | None:
    """The one file whose line of that number is the one that stands in the message."""
    text = next((line.strip() for line in after.splitlines() if line.strip()), "")
    if not text:
        return None
    paths = [
        path
        for folder in ("macros", "models", "tests", "snapshots", "analyses")
        for path in root.joinpath(folder).rglob("*.sql")
    ]
    found = [
        path
        for path in paths
        if (lines := path.read_text(encoding="utf-8").splitlines())[number - 1 : number]
        and lines[number - 1].strip() == text
    ]
    return found[0] if len(found) == 1 else None


def _first_line_with(names: Iterable[str], file: Path) -> tuple[int, int]:
    lines = file.read_text(encoding="utf-8").splitlines()
    for name in filter(None, names):
        for number, line in enumerate(lines, start=1):
            if match := re.search(rf"\b{re.escape(name)}\b", line):
                return number, match.start() + 1
    return 0, 0


def of_sqlfluff(report: str, _project: Path) -> list[Finding]:
    """The violations in sqlfluff's JSON."""
    files: list[dict[str, Any]] = json.loads(report)
    return [
        Finding(
            f"{each['code']} {each['description']}", file["filepath"], each["start_line_no"], each["start_line_pos"]
        )
        for file in files
        for each in file["violations"]
    ]


def of_ruff(report: str, project: Path) -> list[Finding]:
    """The violations in ruff's JSON."""
    return [
        Finding(
            f"{each['code'] or ''} {each['message']}".strip(),
            _below(Path(each["filename"]), project),
            each["location"]["row"],
            each["location"]["column"],
        )
        for each in json.loads(report)
    ]


def _below(path: Path, project: Path) -> str:
    return str(path.relative_to(project)) if project in path.parents else str(path)

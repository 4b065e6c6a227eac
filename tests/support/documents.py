"""What the documents show: blocks, commands, paths; and whether what a command names is there."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import yaml

from growth.cli import cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# What a block may be; commands stand in sh and nothing else does, so that none is overlooked.
LANGUAGES = {"sh", "sql", "yaml", "text", "mermaid", "python", "csv"}
# Commands of growth that only read, and those that change, serve or send something. A new one belongs to either.
READS = {"status", "sql", "psql", "rejects list", "rejects show"}
CHANGES = {
    *("run", "load", "unload", "publish", "rebuild-history", "sources", "dbt", "deps", "init", "report", "alert"),
    *("up", "down", "sample", "dashboard", "portal", "metrics", "notebook", "backtest churn", "backup", "restore"),
    *("rejects export", "rejects replay", "rejects discard", "erase", "check", "compare", "thaw"),
}
# What else a reader's shell has; what they work on is not ours.
EVERYDAY = {
    "cp",
    "curl",
    "echo",
    "export",
    "find",
    "git",
    "grep",
    "head",
    "mkdir",
    "mv",
    "openssl",
    "printf",
    "rm",
    "tar",
    "chmod",
}
MADE_BY_READERS = ("dbt_project/dbt_packages", "ingest/feeds/travel")
COMPOSE_COMMANDS = {"build", "up", "down", "exec", "run", "restart", "stop", "logs"}


@dataclass(frozen=True)
class Shown:
    """A command of a document: in a block (``is_block``), or within a sentence."""

    document: Path
    text: str
    is_block: bool

    @property
    def words(self) -> list[str]:
        """The words of the command, without the comment and the way to .venv."""
        words = shlex.split(self.text, comments=True)
        return [words[0].removeprefix(".venv/bin/"), *words[1:]]

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {self.text}"


class NotAsShown(AssertionError):
    """A command that is of no known kind, or names something that is not there."""


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return BLOCK.findall(document.read_text("utf-8"))


def prose(document: Path) -> str:
    """The document without its blocks."""
    return BLOCK.sub("", document.read_text("utf-8"))


def spans(document: Path) -> list[str]:
    """Everything between backticks outside of blocks, each in one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(document))]


def commands(document: Path) -> Iterator[Shown]:
    """All commands of a document."""
    for language, text in blocks(document):
        if language == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    yield Shown(document, line.strip(), is_block=True)
    for span in spans(document):
        if re.match(r"(\.venv/bin/growth|growth|make|docker compose) [a-z-]", span) and span.count('"') % 2 == 0:
            yield Shown(document, span, is_block=False)


def queries(document: Path) -> list[str]:
    """The SQL blocks."""
    return [text for language, text in blocks(document) if language == "sql"]


def growth_command(words: list[str]) -> tuple[str, click.Command, list[str]]:
    """Name, command and arguments of ``growth …``.

    Raises:
        NotAsShown: there is no such command.
    """
    command: click.Command = cli
    names: list[str] = []
    rest = list(words)
    while isinstance(command, click.Group):
        if rest and rest[0] in command.commands:
            names.append(rest.pop(0))
            command = command.commands[names[-1]]
        elif command.invoke_without_command or rest in (["--help"], ["-h"]):
            break
        else:
            raise NotAsShown(f"growth has no command {' '.join([*names, *rest[:1]])}")
    return " ".join(names), command, rest


def check(shown: Shown) -> None:
    """Whether a command is of a known kind, and everything that it names is there.

    Raises:
        NotAsShown: it is not; the text says what is missing.
    """
    try:
        _check(shown.words)
    except (NotAsShown, click.UsageError, ValueError) as error:
        raise NotAsShown(f"{shown}: {error}") from error


def _check(words: list[str]) -> None:
    program, arguments = words[0], words[1:]
    if program == "growth":
        _check_growth(arguments)
    elif program == "make":
        targets = [word for word in arguments if "=" not in word]
        if unknown := set(targets) - _targets():
            raise NotAsShown(f"the Makefile has no target {', '.join(sorted(unknown))}")
    elif program == "docker":
        _check_docker(arguments)
    elif program in ("python", "airflow"):  # whose options are not ours
        pass
    elif program not in EVERYDAY:
        raise NotAsShown(f"{program} is of no kind that tests/support/documents.py knows")


def _check_growth(arguments: list[str]) -> None:
    if arguments == ["…"]:  # any command
        return
    name, command, rest = growth_command(arguments)
    if name and name not in READS | CHANGES:
        raise NotAsShown(f"neither READS nor CHANGES of tests/support/documents.py has {name}")
    context = click.Context(command, **command.context_settings)
    command.make_parser(context).parse_args(list(rest))  # raises where it knows no such option


def _check_docker(arguments: list[str]) -> None:
    if arguments[0] == "system":
        return
    if arguments[0] != "compose":
        raise NotAsShown("docker, but neither compose nor system")
    words = arguments[1:]
    services = _compose()["services"]
    while words[0].startswith("--"):
        if words[0] not in ("--profile", "--env-file"):
            raise NotAsShown(f"an option of docker compose that is not known here: {words[0]}")
        if words[0] == "--env-file" and not (ROOT / f"{words[1]}.example").exists():
            raise NotAsShown(f"there is no example of {words[1]}")
        if words[0] == "--profile" and words[1] not in {
            profile for service in services.values() for profile in service.get("profiles", [])
        }:
            raise NotAsShown(f"no service has the profile {words[1]}")
        words = words[2:]
    if words[0] not in COMPOSE_COMMANDS:
        raise NotAsShown(f"docker compose {words[0]} is not known here")
    rest = list(itertools.dropwhile(lambda word: word.startswith("-"), words[1:]))
    named = rest[:1] if words[0] in ("exec", "run") else [word for word in rest if not word.startswith("-")]
    if unknown := set(named) - set(services):
        raise NotAsShown(f"docker-compose.yml has no service {', '.join(sorted(unknown))}")
    if words[0] in ("exec", "run") and named:
        program = (services[named[0]].get("entrypoint") or []) if words[0] == "run" else []
        if program or rest[1:]:
            _check([*program, *rest[1:]])


@cache
def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def _compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def missing_paths(document: Path) -> list[str]:
    """Paths of the checkout between backticks that do not exist; what readers land or make is not the checkout's."""
    tops = {path.name for path in ROOT.iterdir()} - {*("backups", "landing", "reports", "sharing", ".growth", ".venv")}
    paths = [span for span in spans(document) if re.fullmatch(r"[\w.-]+/[\w./-]*", span) and span.split("/")[0] in tops]
    return [path for path in paths if not path.startswith(MADE_BY_READERS) and not (ROOT / path).exists()]


def missing_anchors(document: Path) -> list[str]:
    """Links to a heading that is not there."""
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", prose(document))
    return [
        f"{link}#{anchor}"
        for link, anchor in links
        if "://" not in link and anchor not in _anchors(document.parent / link if link else document)
    ]


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

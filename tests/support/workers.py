"""What docs/workers.md shows for workers on another machine, with other addresses in it."""

from __future__ import annotations

import shlex
import textwrap

from support.compose import ROOT, Stack
from support.documents import blocks

DOCUMENT = ROOT / "docs" / "workers.md"
FIRST, OTHER = "10.0.0.5", "10.0.0.6"


def settings(first: str = FIRST) -> str:
    """What .env of the first machine has besides executor and profile."""
    [text] = [text for language, text in blocks(DOCUMENT) if language == "text" and "BIND_ADDRESS" in text]
    return textwrap.dedent(text).replace(FIRST, first)


def overrides(first: str = FIRST, other: str = OTHER) -> tuple[str, str]:
    """docker-compose.override.yml of the first machine, and of the other one."""
    shown = [text for language, text in blocks(DOCUMENT) if language == "yaml" and FIRST in text]
    of_first, of_other = (textwrap.dedent(text).replace(FIRST, first).replace(OTHER, other) for text in shown)
    return of_first, of_other


def run_as_shown(stack: Stack, words: str) -> None:
    """Run the commands of the block in which the words stand."""
    [text] = [text for language, text in blocks(DOCUMENT) if language == "sh" and words in text]
    for line in text.strip().splitlines():
        docker, compose, *arguments = shlex.split(line)
        assert (docker, compose) == ("docker", "compose")
        stack.compose(*arguments)

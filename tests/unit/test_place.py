"""Where the programs of the embedded server are copied to."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded import place
from embedded.binaries import Binaries
from embedded.place import Account, reachable_binaries

# runs in its copy alone, as one of a folder that others may not enter does for them
PROGRAM = """#!/bin/sh
case "$0" in */programs-*) ;; *) exit 1 ;; esac
"""


def test_two_who_copy_the_programs_at_once_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "package" / "pginstall" / "bin"
    folder.mkdir(parents=True)
    (folder / "postgres").write_text(PROGRAM)
    (folder / "postgres").chmod(0o755)
    binaries, home = Binaries(folder, 18), tmp_path / "home"
    copy = place._copy_programs
    others: list[Binaries] = []

    def another_comes_first(of: Binaries, target: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(place, "_copy_programs", copy)
            others.append(reachable_binaries(binaries, home, Account()))
        copy(of, target)

    monkeypatch.setattr(place, "_copy_programs", another_comes_first)
    assert [reachable_binaries(binaries, home, Account())] == others
    assert len(list((home / "postgres").iterdir())) == 1

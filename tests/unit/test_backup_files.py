"""Files of a backup, on the way into it and back: with Docker both are done as root, for folders of others."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import IO

import pytest

from growth.backup import command, manifest
from growth.backup.errors import BackupBroken, BackupFailed
from growth.backup.manifest import Manifest
from growth.backup.restore import put_back
from growth.backup.take import copy_files


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of somebody else, which a link leads to."""
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "a.csv"
    file.write_text("not to be read, nor written over")
    return file


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def described(backup: Path) -> Manifest:
    facts = dict.fromkeys(field.name for field in fields(Manifest))
    return Manifest(**{**facts, "files": manifest.describe_files(backup)})  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_is_still_being_written_is_not_copied(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv.part", "c.csv.tmp", "D.CSV.PART", ".part-1a2b3c4d.e.csv", "part"):
        write(tmp_path / "landing", f"sessions/{name}", "delivered")
    copy_files(tmp_path / "landing", tmp_path / "copy", print)
    assert {*files(tmp_path / "copy")} == {"sessions/a.csv", "sessions/part"}


def test_links_are_named_and_not_copied(tmp_path: Path, secret: Path) -> None:
    landing, copy, said = tmp_path / "landing", tmp_path / "copy", list[str]()
    write(landing, "sessions/a.csv", "delivered")
    (landing / "sessions" / "b.csv").symlink_to(secret)
    (landing / "events").symlink_to(secret.parent)
    copy_files(landing, copy, said.append)
    assert files(copy) == {"sessions/a.csv": "delivered"}
    links = [landing / "events", landing / "sessions" / "b.csv"]
    assert said == [f"{link} is a link: it is not in the backup." for link in links]


@pytest.mark.parametrize("link", ["sessions/a.csv", "sessions"])
def test_nothing_is_put_back_through_a_link_out_of_the_folder(tmp_path: Path, secret: Path, link: str) -> None:
    backup, landing = tmp_path / "backup", tmp_path / "landing"
    write(backup, "landing/a/b.csv", "of then")
    write(backup, "landing/sessions/a.csv", "of then")
    (landing / link).parent.mkdir(parents=True)
    (landing / link).symlink_to(secret if link.endswith("csv") else secret.parent)
    with pytest.raises(BackupFailed, match=f"leads to {secret.parent}"):
        put_back(backup, described(backup), "landing", landing)
    assert files(secret.parent) == {"a.csv": "not to be read, nor written over"}
    assert not (landing / "a").exists()


def test_nothing_is_written_through_a_link_in_the_place_of_a_file_that_is_under_way(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, landing = tmp_path / "backup", tmp_path / "landing"
    write(backup, "landing/sessions/a.csv", "of then")
    (landing / "sessions").mkdir(parents=True)
    monkeypatch.setattr("growth.files.secrets.token_hex", lambda _: "1a2b3c4d")
    (landing / "sessions" / ".part-1a2b3c4d.a.csv").symlink_to(secret)
    with pytest.raises(FileExistsError):
        put_back(backup, described(backup), "landing", landing)
    assert files(secret.parent) == {"a.csv": "not to be read, nor written over"}
    put_back(backup, described(backup), "landing", landing)
    assert files(landing) == {"sessions/a.csv": "of then"}
    assert secret.read_text() == "not to be read, nor written over"


def test_what_the_manifest_does_not_name_is_not_put_back(tmp_path: Path, secret: Path) -> None:
    backup, landing = tmp_path / "backup", tmp_path / "landing"
    write(backup, "landing/sessions/a.csv", "of then")
    found = described(backup)
    write(backup, "landing/sessions/b.csv", "of another day")
    (backup / "landing" / "sessions" / "c.csv").symlink_to(secret)
    manifest.check_files(backup, found)
    put_back(backup, found, "landing", landing)
    assert files(landing) == {"sessions/a.csv": "of then"}


@pytest.mark.parametrize("name", ["landing/a.csv", "landing/../../elsewhere/a.csv"])
def test_a_backup_of_what_is_elsewhere_is_refused(tmp_path: Path, secret: Path, name: str) -> None:
    backup = tmp_path / "backup"
    (backup / "landing").mkdir(parents=True)
    (backup / "landing" / "a.csv").symlink_to(secret)
    found = described(backup)
    [file] = found.files.values()
    with pytest.raises(BackupBroken, match=f"{name} is a link, or elsewhere. Nothing was restored"):
        manifest.check_files(backup, replace(found, files={name: file}))


def test_nobody_else_sees_what_a_check_puts_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    home = command.verifying_home()
    assert home.stat().st_mode & 0o066 == 0
    assert {path.name: path.stat().st_mode & 0o077 for path in home.iterdir()} == {"landing": 0, "reports": 0}


def test_two_who_put_a_backup_back_at_once_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup, landing = tmp_path / "backup", tmp_path / "landing"
    write(backup, "landing/sessions/a.csv", "of then")
    copy = shutil.copyfileobj

    def another_comes_first(content: IO[bytes], file: IO[bytes]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfileobj", copy)
            put_back(backup, described(backup), "landing", landing)
        copy(content, file)

    monkeypatch.setattr(shutil, "copyfileobj", another_comes_first)
    put_back(backup, described(backup), "landing", landing)
    assert files(landing) == {"sessions/a.csv": "of then"}

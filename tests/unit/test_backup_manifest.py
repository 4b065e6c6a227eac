"""The folder of backups: what counts as one, what is refused, which are forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from growth.backup import manifest, programs
from growth.backup.contents import TableContents, differences
from growth.backup.errors import BackupBroken, BackupFailed
from growth.backup.restore import check_versions
from ingest.schema_version import VERSION


def make(folder: Path, name: str, **changes: object) -> Path:
    backup = folder / name
    (backup / "contracts").mkdir(parents=True)
    (backup / manifest.WAREHOUSE_DUMP).write_bytes(b"PGDMP")
    (backup / "contracts" / "events.yml").write_text("feed: events\n")
    content = {
        **{"format": manifest.FORMAT, "taken_at": "2026-11-27T03:00:00Z", "growth_version": "0.1.0"},
        **{"schema_version": VERSION, "server_version": 17, "program_version": 18, "database_bytes": 1},
        **{"newest_load_id": 7, "newest_publication_id": 2, "as_of_date": "2026-11-26", "roles": ["analyst"]},
        **{"airflow": manifest.Metadata("3.3.2", 17, 1, "0123456789abcdef")},
        **{"tables": {"mart.active_users": TableContents(3, "77")}, "files": manifest.describe_files(backup)},
        **changes,
    }
    manifest.write(backup, manifest.Manifest(**content))  # type: ignore[arg-type]
    return backup


def test_what_is_written_is_read_and_whole(tmp_path: Path) -> None:
    backup = make(tmp_path, "20261127T030000Z")
    found = manifest.read(backup)
    assert found.tables == {"mart.active_users": TableContents(3, "77")}
    assert found.files.keys() == {"warehouse.dump", "contracts/events.yml"}
    assert found.size_bytes == 5 + 13
    manifest.check_files(backup, found)
    check_versions(found)


def test_the_newest_whole_backup_is_found_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    names = [f"2026112{day}T030000Z" for day in (7, 5, 6)]
    for name in names:
        make(tmp_path, name)
    make(tmp_path, ".20261129T030000Z.part")  # under way
    (tmp_path / "20261128T030000Z").mkdir()  # no manifest: no backup
    assert manifest.find("latest", tmp_path).name == "20261127T030000Z"
    assert manifest.find("20261125T030000Z", tmp_path) == tmp_path / "20261125T030000Z"
    assert manifest.find(str(tmp_path / "20261125T030000Z"), tmp_path / "elsewhere").name == "20261125T030000Z"
    said: list[str] = []
    manifest.forget(tmp_path, 2, said.append)
    assert [path.name for path in manifest.whole(tmp_path)] == ["20261126T030000Z", "20261127T030000Z"]
    assert said == [f"Deleted {tmp_path / '20261125T030000Z'}"]
    with pytest.raises(BackupFailed, match=r"no backup yesterday; in .* there are: 20261126T030000Z, 20261127T030000Z"):
        manifest.find("yesterday", tmp_path)
    with pytest.raises(BackupFailed, match=r"there are: none"):
        manifest.find("latest", tmp_path / "elsewhere")


def test_every_file_that_is_not_as_it_was_made_is_named(tmp_path: Path) -> None:
    backup = make(tmp_path, "20261127T030000Z")
    found = manifest.read(backup)
    (backup / manifest.WAREHOUSE_DUMP).write_bytes(b"PGDMQ")
    (backup / "contracts" / "events.yml").unlink()
    with pytest.raises(BackupBroken, match=r"contracts/events.yml is missing; warehouse.dump has another content"):
        manifest.check_files(backup, found)
    (backup / manifest.WAREHOUSE_DUMP).write_bytes(b"PG")
    with pytest.raises(BackupBroken, match=r"warehouse.dump has 2 bytes instead of 5"):
        manifest.check_files(backup, found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no backup: it has no manifest.json"),
        ('{"format": 1, "taken', "cannot be read"),
        ("[]", "cannot be read"),
        ('{"format": 1}', "lacks 'airflow'"),
        ('{"format": 9, "growth_version": "4.2"}', "backup format 9, .* knows 1: .* growth 4.2"),
    ],
)
def test_a_manifest_that_says_nothing_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / manifest.NAME).write_text(text)
    with pytest.raises(BackupFailed, match=message):
        manifest.read(tmp_path)


def test_backups_of_newer_releases_are_refused_with_what_to_do(tmp_path: Path) -> None:
    newer = make(tmp_path, "a", schema_version=VERSION + 1, growth_version="4.2")
    with pytest.raises(BackupFailed, match=rf"growth 4.2, which has version {VERSION + 1} .* newer one"):
        check_versions(manifest.read(newer))
    airflow = make(tmp_path, "b", airflow=manifest.Metadata("9.10.1", 17, 0, ""))
    with pytest.raises(BackupFailed, match=r"Airflow 9.10.1, and .* --without-airflow"):
        check_versions(manifest.read(airflow))
    check_versions(manifest.read(airflow), with_airflow=False)


def test_no_secret_has_a_place_in_a_manifest(tmp_path: Path) -> None:
    content = json.loads((make(tmp_path, "a") / manifest.NAME).read_text())
    assert content["airflow"].keys() == {"airflow_version", "server_version", "encrypted_count", "key_fingerprint"}


def test_differences_are_told_by_table() -> None:
    before = {"mart.a": TableContents(1, "5"), "mart.b": TableContents(1, "5"), "raw.c": TableContents(3)}
    after = {"mart.a": TableContents(1, "6"), "mart.b": TableContents(2, "5"), "dwh.d": TableContents(0)}
    assert differences(before, before) == []
    assert differences(before, after) == [
        "dwh.d was not in the backup",
        "mart.a has as many rows as before, with other contents",
        "mart.b has 2 rows instead of 1",
        "raw.c is missing",
    ]


def test_options_of_columns_that_one_server_alone_knows_are_left_out() -> None:
    mine = "ALTER TABLE ONLY mart.a ALTER COLUMN b SET (n_distinct=5);"
    script = f"SET transaction_timeout = 0;\n{mine}\nALTER TABLE ONLY mart.a ALTER COLUMN b SET (pg_attver=27945520);\n"
    assert programs.FOREIGN_OPTION.findall(script) == [
        "ALTER TABLE ONLY mart.a ALTER COLUMN b SET (pg_attver=27945520);"
    ]
    assert programs.PSQL_ONLY.sub("", f"\\restrict 5\n{script}\\unrestrict 5").startswith(f"\n\n{mine}\n")

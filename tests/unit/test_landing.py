"""Every file of the landing folder is loaded, or reported, or plainly unfinished."""

from __future__ import annotations

import errno
import os
from datetime import date
from pathlib import Path

import pytest
from support.reading import make_contract

from ingest.errors import FileUnfinished
from ingest.landing import Landing, find_deliveries, unclaimed
from ingest.source import open_source


def touch(landing: Path, *places: str) -> None:
    for place in places:
        path = landing / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_deliveries_come_in_order_of_their_paths(tmp_path):
    touch(tmp_path, "visits/b/1.csv", "visits/a.csv", "visits/c.CSV", "clicks/a.csv", "visits/a/2.csv")
    found = find_deliveries(tmp_path, "visits")
    files = [delivery.source_file for delivery in found.deliveries]
    assert files == ["visits/a.csv", "visits/c.CSV", "visits/a/2.csv", "visits/b/1.csv"]
    assert (found.errors, found.warnings) == ((), ())


def test_hidden_and_unfinished_files_are_passed_over(tmp_path):
    touch(tmp_path, "visits/.a.csv", "visits/.git/a.csv", "visits/a.csv.part", "visits/b.csv.TMP", ".gitkeep")
    found = find_deliveries(tmp_path, "visits")
    assert (found.deliveries, found.errors, found.warnings) == ((), (), ())
    assert unclaimed(tmp_path, ["visits"]) == []


def test_every_kind_is_a_delivery_and_may_be_unfinished(tmp_path):
    kinds = [".csv", ".csv.gz", ".CSV.zst", ".Parquet"]
    touch(tmp_path, *(f"visits/a{kind}" for kind in kinds))
    touch(tmp_path, *(f"visits/b{kind}.{end}" for kind in kinds for end in ("tmp", "PART")))
    found = find_deliveries(tmp_path, "visits")
    assert {delivery.path.name for delivery in found.deliveries} == {f"a{kind}" for kind in kinds}
    assert (found.errors, found.warnings) == ((), ())


def test_compressed_files_of_other_kinds_are_reported(tmp_path):
    touch(tmp_path, "visits/a.gz", "visits/a.json.gz", "visits/a.csv.bz2", "visits/a.parquet.gz")
    found = find_deliveries(tmp_path, "visits")
    assert found.deliveries == ()
    assert len(found.warnings) == 4
    assert "(kinds that are: .csv, .csv.gz, .csv.zst, .parquet)" in found.warnings[0]


def test_extract_date_is_taken_from_the_path(tmp_path):
    touch(tmp_path, "users/extract_date=2024-02-29/part/a.csv", "users/b.csv", "users/extract_date=2024-02-29.csv")
    found = find_deliveries(tmp_path, "users")
    assert {delivery.source_file: delivery.extract_date for delivery in found.deliveries} == {
        "users/b.csv": None,
        "users/extract_date=2024-02-29.csv": None,
        "users/extract_date=2024-02-29/part/a.csv": date(2024, 2, 29),
    }
    assert found.errors == ()


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29",
        "0000-01-01",
        "20240101",
        "2024-1-1",
        "",
        "today",
        "2024-W01-1",
        "2024-01-01\udc81",
        "202\u0664-01-01",
    ],
)
def test_impossible_extract_date_is_an_error_of_its_files(tmp_path, text):
    touch(tmp_path, f"users/extract_date={text}/a.csv", "users/b.csv")
    found = find_deliveries(tmp_path, "users")
    assert [delivery.source_file for delivery in found.deliveries] == ["users/b.csv"]
    ((file, reason),) = found.errors
    assert file.endswith("/a.csv")
    assert "no date of the form YYYY-MM-DD" in reason
    reason.encode()  # every database can store it


def test_several_extract_dates_are_an_error(tmp_path):
    touch(tmp_path, "users/extract_date=2024-01-01/extract_date=2024-01-02/a.csv")
    ((_, reason),) = find_deliveries(tmp_path, "users").errors
    assert reason == "lies in folders of several extract dates: '2024-01-01', '2024-01-02'"


def test_archive_is_neither_loaded_nor_reported(tmp_path):
    touch(tmp_path, "_archive/visits/a.csv", "visits/b.csv")
    assert unclaimed(tmp_path, ["visits"]) == []
    assert [delivery.source_file for delivery in find_deliveries(tmp_path, "visits").deliveries] == ["visits/b.csv"]


def test_unknown_kinds_are_reported(tmp_path):
    touch(tmp_path, "visits/a.xlsx", "visits/README", "visits/a.csv")
    found = find_deliveries(tmp_path, "visits")
    assert len(found.deliveries) == 1
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "visits/README is of an unknown kind",
        "visits/a.xlsx is of an unknown kind",
    ]


def test_what_belongs_to_no_feed_is_reported(tmp_path):
    touch(tmp_path, "visits/a.csv", "visit/a.csv", "visit/b.csv", "stray.csv", "later.csv.part", "l.csv.TMP")
    stray, folder = sorted(unclaimed(tmp_path, ["visits"]))
    assert stray.startswith("stray.csv lies in no feed's folder")
    assert folder.startswith("visit/ is the folder of no feed: its 2 files are not loaded")


def test_links_that_lead_out_or_nowhere_are_errors(tmp_path):
    landing = tmp_path / "landing"
    touch(landing, "visits/a.csv")
    touch(tmp_path, "outside/b.csv")
    (landing / "visits" / "file.csv").symlink_to(tmp_path / "outside" / "b.csv")
    (landing / "visits" / "folder").symlink_to(tmp_path / "outside")
    (landing / "visits" / "nothing.csv").symlink_to(landing / "gone.csv")
    (landing / "visits" / "circle.csv").symlink_to("circle.csv")
    (landing / "visits" / "long.csv").symlink_to("x" * 300)
    (landing / "clicks").symlink_to(tmp_path / "outside")
    found = find_deliveries(landing, "visits")
    assert [delivery.source_file for delivery in found.deliveries] == ["visits/a.csv"]
    assert found.errors == (
        ("visits/circle.csv", "cannot be read: Too many levels of symbolic links"),
        ("visits/file.csv", "leads out of the landing folder"),
        ("visits/folder", "leads out of the landing folder"),
        ("visits/long.csv", "cannot be read: File name too long"),
        ("visits/nothing.csv", "is a link to nothing"),
    )
    assert find_deliveries(landing, "clicks").errors == (("clicks", "leads out of the landing folder"),)


def swapped(path: Path, secret: Path) -> None:
    found = os.stat(path)  # not that of Path, which a test changes
    secret.write_bytes(b"y" * found.st_size)
    os.utime(secret, ns=(found.st_mtime_ns, found.st_mtime_ns))
    path.unlink()
    path.symlink_to(secret)


@pytest.mark.parametrize("is_link", [False, True])
def test_link_that_takes_a_files_place_is_not_read(tmp_path, is_link):
    landing = tmp_path / "landing"
    touch(landing, "visits/a.csv")
    if is_link:
        (landing / "visits" / "a.csv").rename(landing / "visits" / ".b.csv")
        (landing / "visits" / "a.csv").symlink_to(".b.csv")
    (delivery,) = find_deliveries(landing, "visits").deliveries
    found = (delivery.size_bytes, delivery.modified_ns, delivery.identity)
    with open_source(delivery.path, make_contract()) as source:
        source.check_same(*found)
    swapped(delivery.path, tmp_path / "secret")
    with (
        open_source(delivery.path, make_contract()) as source,
        pytest.raises(FileUnfinished, match="after it was found"),
    ):
        source.check_same(*found)


def test_link_that_takes_a_files_place_while_it_is_found_is_no_delivery(tmp_path, monkeypatch):
    landing = tmp_path / "landing"
    touch(landing, "visits/a.csv")
    look = Path.stat

    def look_late(path, **options):
        if path.name == "a.csv" and not path.is_symlink():
            swapped(path, tmp_path / "secret")
        return look(path, **options)

    monkeypatch.setattr(Path, "is_symlink", os.path.islink)
    monkeypatch.setattr(Path, "stat", look_late)
    assert find_deliveries(landing, "visits") == Landing()


def test_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path):
    touch(tmp_path, "visits/a.csv")
    (delivery,) = find_deliveries(tmp_path, "visits").deliveries
    delivery.path.unlink()
    os.mkfifo(delivery.path)
    with pytest.raises(FileUnfinished, match="is no regular file"):
        open_source(delivery.path, make_contract())


def test_file_in_the_place_of_a_feeds_folder_is_reported(tmp_path):
    touch(tmp_path, "visits")
    (warning,) = find_deliveries(tmp_path, "visits").warnings
    assert warning.startswith("visits is of an unknown kind")


def test_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, "visits/a.csv", "visits/closed/b.csv")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_deliveries(tmp_path, "visits")
    assert len(found.deliveries) == 1
    assert found.errors == (("visits/closed", "cannot be read"),)


def test_landing_folder_may_be_a_link(tmp_path):
    touch(tmp_path, "real/visits/a.csv")
    (tmp_path / "landing").symlink_to(tmp_path / "real")
    found = find_deliveries(tmp_path / "landing", "visits")
    assert [delivery.source_file for delivery in found.deliveries] == ["visits/a.csv"]


def test_missing_landing_folder_is_said(tmp_path):
    assert find_deliveries(tmp_path / "none", "visits").deliveries == ()
    (warning,) = unclaimed(tmp_path / "none", ["visits"])
    assert "does not exist" in warning

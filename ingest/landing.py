"""What lies in the landing folder: deliveries, and whatever will not be loaded and why.

Source: ``landing/<feed>/**``, files of the kinds in ``EXTENSIONS``. Nothing is lost silently: a file that no contract
claims, or of a kind that cannot be loaded, is reported. Only hidden files, those whose name says that they are still
being written (``.tmp``, ``.part``), and the archive of what was loaded (``_archive/``) are passed over.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

EXTENSIONS = (".csv", ".csv.gz", ".csv.zst", ".parquet")
UNFINISHED_EXTENSIONS = (".tmp", ".part")
# Files of feeds that archive what was loaded are moved below it; no feed's name begins with an underscore.
ARCHIVE_FOLDER = "_archive"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file to load; ``source_file`` is its path below the landing folder, with slashes.

    ``extract_date`` is the date of a folder ``extract_date=YYYY-MM-DD`` on that path. ``size_bytes``, ``modified_ns``
    and ``identity`` are those of the file when it was found: one that has changed since is not finished. ``state`` is
    what ``state_of`` says of it then.
    """

    feed: str
    path: Path
    source_file: str
    extract_date: date | None
    size_bytes: int = field(compare=False)
    modified_ns: int = field(compare=False)
    identity: tuple[int, int] = field(compare=False)
    state: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Landing:
    """What was found: ``deliveries`` to load, ``errors`` (path below landing, reason), ``warnings`` to show."""

    deliveries: tuple[Delivery, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def find_deliveries(landing: Path, feed: str) -> Landing:
    """Look through a feed's folder, in the order of the paths' names.

    A link that leads out of the landing folder is an error: what it leads to was not delivered here.
    """
    root = landing.resolve()
    deliveries: list[Delivery] = []
    errors: list[tuple[str, str]] = []
    warnings: list[str] = []
    unreadable: list[Path] = []
    for path in _walk(root / feed, unreadable):
        name = path.name.lower()
        shown = shown_path(path, root)
        if is_unfinished(name):
            continue
        place = Path(os.path.realpath(path))  # resolve() fails on links that lead in a circle
        found: os.stat_result | None = None
        try:
            found = path.stat()
        except FileNotFoundError:
            if not path.is_symlink():  # gone since we looked: it changes nothing
                continue
        except OSError as error:
            errors.append((shown, f"cannot be read: {error.strerror}"))
            continue
        if not place.is_relative_to(root):
            errors.append((shown, "leads out of the landing folder"))
        elif found is None:
            errors.append((shown, "is a link to nothing"))
        elif stat.S_ISDIR(found.st_mode):
            warnings.append(f"{shown} is a link to a folder: not followed, its files count where they are")
        elif not stat.S_ISREG(found.st_mode):
            warnings.append(f"{shown} is no regular file: not loaded")
        elif not name.endswith(EXTENSIONS):
            warnings.append(f"{shown} is of an unknown kind: not loaded (kinds that are: {', '.join(EXTENSIONS)})")
        else:
            try:
                extract_date = _extract_date(path.relative_to(root))
                if identity(place.lstat()) != identity(found):  # what was there has been put in another's place since
                    continue
                seen = (found.st_size, found.st_mtime_ns, identity(found), state_of(found))
                deliveries.append(Delivery(feed, path, shown, extract_date, *seen))
            except FileNotFoundError:  # gone since we looked: it changes nothing
                continue
            except ValueError as error:
                errors.append((shown, str(error)))
    errors += [(shown_path(folder, root), "cannot be read") for folder in unreadable]
    return Landing(tuple(deliveries), tuple(errors), tuple(warnings))


def identity(found: os.stat_result) -> tuple[int, int]:
    """What tells a file from every other one, whatever path leads to it."""
    return found.st_dev, found.st_ino


def is_unfinished(name: str) -> bool:
    """Whether a file's name says that somebody is still writing it."""
    return name.lower().endswith(UNFINISHED_EXTENSIONS)


def finished(name: str) -> str:
    """The name that a file has once it is written."""
    while is_unfinished(name) and (done := name.rpartition(".")[0]):
        name = done
    return name


def state_of(found: os.stat_result) -> str:
    """What tells without reading a file that nobody wrote to it or put another in its place.

    No program can set the time of the last change (ctime): on a local file system every write moves it on, also one
    that keeps the size and sets the time of writing back. As text, for an inode may be larger than a bigint.
    """
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def unclaimed(landing: Path, feeds: Collection[str]) -> list[str]:
    """Warnings about what lies at the top of the landing folder and belongs to no feed."""
    if not landing.is_dir():
        return [f"{landing} does not exist: there is nothing to load"]
    root = landing.resolve()
    warnings = []
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name in feeds or path.name == ARCHIVE_FOLDER:
            continue
        shown = shown_path(path, root)
        if path.is_dir():
            count = sum(1 for _ in _walk(path, []))
            warnings.append(f"{shown}/ is the folder of no feed: its {count} files are not loaded (no such contract)")
        elif not is_unfinished(path.name):
            warnings.append(f"{shown} lies in no feed's folder: not loaded")
    return warnings


def _extract_date(path: Path) -> date | None:
    """The date of the folder ``extract_date=…`` on a path.

    Raises:
        ValueError: it is no date, or there are several; the message is for whoever delivers the file.
    """
    texts = {folder.partition("=")[2] for folder in path.parent.parts if folder.startswith("extract_date=")}
    if not texts:
        return None
    if len(texts) > 1:
        raise ValueError(f"lies in folders of several extract dates: {', '.join(map(repr, sorted(texts)))}")
    text = texts.pop()
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise ValueError(f"lies in a folder of extract date {text!r}: no date of the form YYYY-MM-DD")


def shown_path(path: Path, root: Path) -> str:
    """Path below the landing folder as text that every database can store, also where a name is not UTF-8."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def _walk(folder: Path, unreadable: list[Path]) -> Iterator[Path]:
    """Files and links below a folder, hidden ones left out; a linked folder is yielded itself, not entered.

    Args:
        folder: where to look; yielded itself where it is no folder.
        unreadable: folders that may not be looked into are added to it.
    """
    if folder.is_symlink() or folder.is_file():
        yield folder
        return

    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            unreadable.append(Path(error.filename))

    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not name.startswith("."):
                yield Path(parent) / name

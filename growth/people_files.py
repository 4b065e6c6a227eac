"""Files that hold people: what was delivered, logs, artifacts of dbt, reports.

Source: the landing folder with its archive, the home folder, Airflow's logs, the reports. Delivered files are only
named: they are their sender's. In what we wrote ourselves ids are written over, in place, so that whoever is
writing there goes on undisturbed.
"""

from __future__ import annotations

import base64
import codecs
import csv
import itertools
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from growth.people import People
from growth.settings import dbt_folder, growth_home, landing_folder, reports_folder
from ingest.contract import Contract, header_key
from ingest.errors import IngestError
from ingest.id_texts import patterns
from ingest.landing import ARCHIVE_FOLDER, finished
from ingest.source import Source, open_source
from ingest.tombstones import SPACE, as_number, has_numbers

# How Elementary's report has its data: as base64, in which no id is found by its text.
PACKED = re.compile(rb"atob\('([A-Za-z0-9+/]+={0,2})'\)")
PACKED_FILES = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1")  # gzip, Zstandard, Parquet
NUMBER = re.compile(r"\.\d+$")  # of an archived file whose path was taken


@dataclass(frozen=True, slots=True)
class HoldingFile:
    """A file that holds people; ``is_sure`` where their column says so, and not where it cannot be read as a feed's."""

    path: Path
    is_sure: bool = True


def delivered(people: People, retired: Sequence[str] = ()) -> list[HoldingFile]:
    """Files below the landing folder, archive included, that hold any of the people; nothing is changed.

    Args:
        people: who is looked for, in the files of their feeds.
        retired: feeds without contract, whose files are searched as texts.
    """
    found = []
    for contract in people.contracts:
        found += [_look(path, contract, people.users) for path in _files(contract.feed)]
    for feed in retired:
        found += [HoldingFile(path, is_sure=False) for path in _files(feed) if _could_hold(path, people.users)]
    return [each for each in found if each is not None]


def _files(feed: str) -> list[Path]:
    """The files of a feed, delivered and archived."""
    folders = (landing_folder() / feed, landing_folder() / ARCHIVE_FOLDER / feed)
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def write_over(people: People) -> list[Path]:
    """Write over the ids in logs, in results of dbt and in reports; a short id only where it is quoted.

    Returns:
        The files that held any.
    """
    changed, expressions = [], [re.compile(text.encode()) for text in patterns(people.users)]
    for path in _ours():
        try:
            content = path.read_bytes()
            changes = [] if b"\0" in content[:1024] else list(_changes(content, expressions))
            if changes:
                with path.open("r+b") as file:
                    for start, text in changes:
                        file.seek(start)
                        file.write(text)
                changed.append(path)
        except FileNotFoundError:  # rotated away meanwhile
            continue
    return changed


def _ours() -> Iterator[Path]:
    home = growth_home()
    airflow = Path(os.environ.get("AIRFLOW_HOME") or home / "airflow")
    logs = {home / "logs", dbt_folder() / "logs", home / "airflow", airflow / "logs"}
    for folder in sorted({*logs, home / "edr", reports_folder()}):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path
    yield from dbt_folder().glob("*/run_results.json")


def _changes(content: bytes, expressions: Sequence[re.Pattern[bytes]]) -> Iterator[tuple[int, bytes]]:
    """Where something is to be written, and what: as long as before, and what was JSON stays JSON."""
    for expression in expressions:
        for match in expression.finditer(content):
            yield match.start(1), re.sub(rb"[^0-9]", b"x", re.sub(rb"[0-9]", b"0", match[1]))
    for packed in PACKED.finditer(content):
        unpacked = bytearray(base64.b64decode(packed[1]))
        changes = list(_changes(bytes(unpacked), expressions))
        for start, text in changes:
            unpacked[start : start + len(text)] = text
        if changes:
            yield packed.start(1), base64.b64encode(unpacked)


def _look(path: Path, contract: Contract, users: Sequence[str]) -> HoldingFile | None:
    """Whether a file holds any of them: first as a text anywhere, then in the column of users."""
    with tempfile.TemporaryDirectory() as folder:
        # by its name it is known of which kind it is
        named = Path(folder) / finished(NUMBER.sub("", path.name))
        named.symlink_to(path)
        try:
            if not any(_has_text(block, users) for block in _blocks(named, contract)):
                return None
            return HoldingFile(path) if _has_user(named, contract, users) else None
        except (IngestError, OSError, csv.Error):
            is_utf_8 = codecs.lookup(contract.csv.encoding).name.startswith("utf-8")
            return HoldingFile(path, is_sure=False) if not is_utf_8 or _could_hold(path, users) else None


def _could_hold(path: Path, users: Sequence[str]) -> bool:
    """Whether a file that cannot be read as a feed's has the text of an id; packed, or as UTF-16, it could."""
    content = path.read_bytes()
    return content.startswith((*PACKED_FILES, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _has_text(content, users)


def _blocks(path: Path, contract: Contract) -> Iterator[bytes]:
    """The text of a file as UTF-8, each block with the end of the one before it."""
    tail = b""
    with open_source(path, contract) as source:
        while block := source.read_block():
            yield tail + block
            tail = block[-1024:]


def _has_text(block: bytes, users: Sequence[str]) -> bool:
    return any(user.encode() in block for user in users)


def _has_user(path: Path, contract: Contract, users: Sequence[str]) -> bool:
    """Whether a record's user is one of them; any of its fields, where the header does not say which is the user."""
    from ingest.records import MAX_RECORD_BYTES  # with numpy, a quarter of a second: only where it is needed

    column = contract.column(str(contract.user))
    names = {header_key(name) for name in (column.name, *column.aliases)}
    wanted, is_number = set(users), has_numbers(contract)
    with open_source(path, contract) as source:
        dialect = source.csv
        csv.field_size_limit(MAX_RECORD_BYTES)  # as long as what loads
        rows = csv.reader(_lines(source), delimiter=dialect.delimiter, quotechar=dialect.quote)
        header = next(rows, []) if dialect.header else list(contract.column_names)
        places = [place for place, name in enumerate(header) if header_key(name) in names]
        # a header without the column may be a record
        for row in rows if places else itertools.chain([header], rows):
            fields = [row[place] for place in places] if places and len(row) == len(header) else row
            if any(_is_one_of(field, wanted, is_number=is_number) for field in fields):
                return True
    return False


def _lines(source: Source) -> Iterator[str]:
    rest = b""
    while block := source.read_block():
        *lines, rest = re.split(rb"(?<=\n)", rest + block)
        for line in lines:
            yield line.decode("utf-8", "surrogateescape")
    yield rest.decode("utf-8", "surrogateescape")


def _is_one_of(field: str, wanted: set[str], *, is_number: bool) -> bool:
    text = field.strip(SPACE)
    if text in wanted:
        return True
    return is_number and as_number(text) in wanted

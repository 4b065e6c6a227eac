"""Match the header of a delivered file with its feed's contract, by name.

Source: the fields of the file's first record. A name counts as the contract's when it equals the column's name or an
alias of it, whatever its case and the white space around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.contract import Contract, header_key
from ingest.errors import FileRefused

# Names of a file without a header, or of no CSV at all, would otherwise fill the screen and the ledger.
_SHOWN_CHARACTERS = 40
_SHOWN_UNKNOWN = 10
# No table can have more, and a hundred thousand names take minutes to find that out.
_MAX_NAMES = 1_600

_LOOKS_LIKE_DATA = (
    "no name matches, so this looks like data: if the file is right and has no header, set csv: {header: false} in the"
    " contract"
)
_HIDDEN = "…"  # what may be somebody's data is no name to show

_BYTE_ORDER_MARK = "\ufeff"
# How the byte order marks of UTF-16 look to whoever decodes them as UTF-8 (with replacement, or escaped) or as Latin 1.
_UTF16_MARKS = ("\ufffd\ufffd", "\udcff\udcfe", "\udcfe\udcff", "\xff\xfe", "\xfe\xff", "\ufffe")
_USUAL_DELIMITERS = (",", ";", "\t", "|")
_SAME_DELIMITER = str.maketrans(dict.fromkeys(_USUAL_DELIMITERS, ","))


@dataclass(frozen=True, slots=True)
class Header:
    """Which column each field of a file is.

    ``columns``: for each field the contract's column, None where it has none; ``added``: the names, as in the file, of
    those without; ``missing``: the contract's nullable columns that the file lacks.
    """

    columns: tuple[str | None, ...]
    added: tuple[str, ...]
    missing: tuple[str, ...]


def match_header(fields: Sequence[str], contract: Contract) -> Header:
    """Say which column of the contract each field of a file is.

    Args:
        fields: the file's first record, with or without a byte order mark.
        contract: the feed's contract.

    Raises:
        FileRefused: the header is empty or has no end of names, or a required column is missing, or a column is there
            twice. The message shows both headers side by side, and where it can, which key of the contract to change.
    """
    names = _without_mark(fields, contract.csv.quote)
    if not any(header_key(name) for name in names):
        raise FileRefused("the file is empty, or begins with an empty line: there is no header")
    by_key = {header_key(name): column.name for column in contract.columns for name in (*column.aliases, column.name)}
    columns = tuple(by_key.get(header_key(name)) for name in names)
    missing = [column for column in contract.columns if column.name not in columns]
    required = [column.name for column in missing if not column.nullable]
    twice = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if required or twice:
        raise FileRefused(_describe(names, columns, required, twice, contract))
    if len(names) > _MAX_NAMES:
        raise FileRefused(f"the header has {len(names):,} names, at most {_MAX_NAMES:,} are read: drop some of them")
    return Header(
        columns=columns,
        added=tuple(name for name, column in zip(names, columns, strict=True) if column is None),
        missing=tuple(column.name for column in missing),
    )


def check_owner(fields: Sequence[str], header: Header, contract: Contract, contracts: Iterable[Contract]) -> None:
    """Refuse a file that another feed's contract fits, where this one only does because columns may be missing.

    Args:
        fields: the file's first record.
        header: what ``match_header`` made of it.
        contract: the contract of the feed in whose folder the file lies.
        contracts: those of all feeds.

    Raises:
        FileRefused: it has none of the columns that may be null, and others; all of them are known to another feed.
    """
    nullable = tuple(column.name for column in contract.columns if column.nullable)
    if not nullable or not header.added or header.missing != nullable:
        return
    feed = contract.feed
    owners = [other.feed for other in contracts if other.feed != feed and _fits(fields, other)]
    if owners:
        raise FileRefused(
            f"looks like a file of the feed {' or '.join(owners)}: all its columns are that one's, and it has none"
            f" of {', '.join(nullable)}, which {feed} has; move it to landing/{owners[0]}/. If it really is one of"
            f" {feed}, drop the columns {', '.join(header.added)} from it, or add them to the contract"
        )


def _fits(fields: Sequence[str], contract: Contract) -> bool:
    """Whether every field of the header is a column of the contract, and all that it requires are there."""
    try:
        return contract.csv.header and not match_header(fields, contract).added
    except FileRefused:
        return False


def positional(contract: Contract) -> Header:
    """What the fields of a file without a header are: the contract's columns, in its order."""
    return Header(columns=contract.column_names, added=(), missing=())


def _without_mark(fields: Sequence[str], quote: str) -> list[str]:
    if not fields or not fields[0].startswith(_BYTE_ORDER_MARK):
        return list(fields)
    first = fields[0].removeprefix(_BYTE_ORDER_MARK)
    # A reader of CSV takes a quote after the mark for one within an unquoted field.
    if len(first) > 1 and first.startswith(quote) and first.endswith(quote):
        first = first[1:-1].replace(2 * quote, quote)
    return [first, *fields[1:]]


def _describe(
    names: Sequence[str], columns: Sequence[str | None], required: list[str], twice: list[str], contract: Contract
) -> str:
    unknown = [_shown(name) for name, column in zip(names, columns, strict=True) if column is None]
    hint = _hint(names, columns, contract)
    if not _has_known_name(names, contract):
        unknown = [_HIDDEN] * len(unknown)
    remarks = [f"missing: {', '.join(required)}"] if required else []
    remarks += [f"there twice: {', '.join(twice)}"] if twice else []
    remarks += [f"unknown: {', '.join(map(repr, unknown[:_SHOWN_UNKNOWN]))}"] if unknown else []
    lines = [f"header is not the contract's ({'; '.join(remarks)})"]
    if hint:
        lines.append(hint)
    elif required and unknown:
        lines.append("if a column has a new name, write that below the column in the contract: aliases: [new name]")
    width = max(map(len, [*contract.column_names, "contract"]))
    lines.append(f"  {'contract':{width}} | file")
    for column in contract.columns:
        found = [_shown(name) for name, matched in zip(names, columns, strict=True) if matched == column.name]
        wrong = column.name in required or column.name in twice
        right = ", ".join(found) or ("-" if wrong else "- (may be missing)")
        lines.append(f"  {column.name:{width}} | {right}{'   <--' if wrong else ''}")
    lines += [f"  {'-':{width}} | {name}" for name in unknown[:_SHOWN_UNKNOWN]]
    if len(unknown) > _SHOWN_UNKNOWN:
        lines.append(f"  {'-':{width}} | … and {len(unknown) - _SHOWN_UNKNOWN} more")
    return "\n".join(lines)


def _hint(names: Sequence[str], columns: Sequence[str | None], contract: Contract) -> str | None:
    """What to change in the contract, where the header shows that the file is written in another way."""
    if names[0].startswith(_UTF16_MARKS) or any("\0" in name for name in names):
        return "it looks like UTF-16: if the file is right, set csv: {encoding: utf-16} in the contract"
    if any(columns):
        return None
    others = [delimiter for delimiter in _USUAL_DELIMITERS if delimiter != contract.csv.delimiter]
    delimiter = max(others, key=names[0].count)
    if len(names) == 1 and delimiter in names[0]:
        shown = '"\\t"' if delimiter == "\t" else f'"{delimiter}"'
        return (
            f"it is one field that holds {shown}: if the file is right, set csv: {{delimiter: {shown}}} in the contract"
        )
    return _LOOKS_LIKE_DATA


def _has_known_name(names: Sequence[str], contract: Contract) -> bool:
    """Whether any field is a column's, or a part of one is that another delimiter makes; else they may be data."""
    known = {header_key(name) for column in contract.columns for name in (*column.aliases, column.name)}
    parts = names[0].replace(contract.csv.quote, "").translate(_SAME_DELIMITER).split(",") if len(names) == 1 else []
    return any(header_key(name) in known for name in (*names, *parts))


def _shown(name: str) -> str:
    # Escaped where it is no plain text: NUL cannot be stored, and a line end would break the two columns.
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in name)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"

"""Feed contracts: what a source delivers, as its YAML file promises it.

Source: <feeds folder>/<domain>/<feed>.yml. Everything about a feed follows from its contract: the raw table, the dbt
source with its tests, the check of a delivered file's header.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ingest.errors import ContractError

ColumnType = Literal["text", "bigint", "integer", "numeric", "boolean", "date", "timestamptz"]
Cadence = Literal["hourly", "daily", "weekly", "monthly", "irregular"]
DeliveryMode = Literal["append", "replace", "full_extract"]
AfterLoad = Literal["keep", "archive"]
DateOrder = Literal["YMD", "DMY", "MDY"]
EVENT_TIME_TYPES: tuple[ColumnType, ...] = ("date", "timestamptz")
NUMBER_TYPES: tuple[ColumnType, ...] = ("numeric", "integer", "bigint")

# 40 characters: the name of a load's own table adds a suffix, and Postgres cuts names at 63 bytes.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, Field(min_length=1)]

# Column of raw that dates the rows of a full extract; no column of a contract begins with an underscore.
EXTRACT_DATE = "_extract_date"

# Words that Postgres reserves: unquoted in a model they would mean something else (user), or nothing.
RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
    from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
    returning right select session_user similar some symmetric system_user table tablesample then to trailing true
    union unique user using variadic verbose when where window with""".split()  # noqa: SIM905
)


_NOT_ACCEPTED = "not_accepted"


def _not_accepted(fault: str) -> PydanticCustomError:
    """What a check of one key raises; its text may hold braces."""
    return PydanticCustomError(_NOT_ACCEPTED, "{fault}", {"fault": fault})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Reference(_Strict):
    """The column of a feed, the same one or another, in which every value of a column stands."""

    feed: Name
    column: Name


class Column(_Strict):
    """One column of the file, in the place where the file has it."""

    name: Name
    type: ColumnType
    nullable: bool
    description: Text
    accepted_values: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)] | None = None
    aliases: Annotated[tuple[Text, ...], Field(strict=False)] = ()  # other names that a file's header may have for it
    max_length: Annotated[int, Field(gt=0)] | None = None  # characters
    format: Text | None = None  # a template of Postgres' to_timestamp, such as DD Mon YYYY
    personal: bool = False  # tells something of a person: its values are shown in no log and no alert
    # What gate_raw judges, and not the load: a row below or without its match is no bad record, but bad data.
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    references: Reference | None = None

    @model_validator(mode="after")
    def _check(self) -> Column:
        faults = []
        accepted, limit = self.accepted_values or (), self.max_length
        if self.name in RESERVED:
            faults.append(f"name: {self.name!r} is a reserved word of SQL")
        if accepted and self.type != "text":
            faults.append("accepted_values: only a column of type text may have them")
        if twice := _repeated(accepted):
            faults.append(f"accepted_values: listed twice: {', '.join(twice)}")
        if limit is not None and self.type != "text":
            faults.append("max_length: only a column of type text may have one")
        if limit is not None and (longer := [value for value in accepted if len(value) > limit]):
            faults.append(f"max_length: accepted_values has longer ones: {', '.join(longer)}")
        if self.format is not None and self.type not in EVENT_TIME_TYPES:
            faults.append(f"format: only a column of these types may have one: {', '.join(EVENT_TIME_TYPES)}")
        if self.min is not None and self.type not in NUMBER_TYPES:
            faults.append(f"min: only a column of these types may have one: {', '.join(NUMBER_TYPES)}")
        if not all(header_key(alias) for alias in self.aliases):
            faults.append("aliases: an alias must not be blank")
        if faults:
            raise ValueError("\n".join(faults))
        return self


class CsvFormat(_Strict):
    """How a feed's CSV files are written; other kinds of file know it themselves.

    ``nulls`` are the unquoted spellings of null. ``header`` false: fields come in the contract's order. A quote within
    a quoted field is doubled.
    """

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    nulls: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = ("",)
    encoding: str = "utf-8"
    date_order: DateOrder = "YMD"

    @field_validator("delimiter", "quote")
    @classmethod
    def _check_character(cls, text: str) -> str:
        # A letter, a digit or a dot would part values, a backslash makes the server's end-of-data mark possible.
        if len(text) != 1 or not (text == "\t" or " " <= text <= "~") or text.isalnum() or text in "\\.":
            hint = ' (a tab is "\\t", in double quotes)' if text.startswith("\\") else ""
            raise _not_accepted(f"{text!r} is not accepted; accepted: one ASCII punctuation mark, space or tab{hint}")
        return text

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name: str) -> str:
        try:
            info = codecs.lookup(name)
            probe = 'a1,;|\t"\r\n'
            if info._is_text_encoding and probe.encode(name).decode(name) == probe:
                return name
        except (LookupError, UnicodeError, ValueError):  # ValueError: a NUL in the name
            pass
        raise _not_accepted(
            f"{name!r} is no text encoding that Python knows; accepted values: utf-8, utf-16, cp1252, latin-1, …"
        )

    @model_validator(mode="after")
    def _check(self) -> CsvFormat:
        faults = []
        if self.delimiter == self.quote:
            faults.append(f"quote: must differ from delimiter, both are {self.quote!r}")
        faults += [f"nulls: {text!r} is there twice" for text in _repeated(self.nulls)]
        special = f"{self.delimiter}{self.quote}\r\n\0"
        faults += [
            f"nulls: {text!r} must hold no delimiter, quote, line end or NUL"
            for text in self.nulls
            if any(character in special for character in text)
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self


class Freshness(_Strict):
    """How many days the newest delivery may be old."""

    warn_after_days: Annotated[int, Field(gt=0)]
    error_after_days: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _check(self) -> Freshness:
        if self.error_after_days < self.warn_after_days:
            raise ValueError("error_after_days: must not be below warn_after_days")
        return self


class Retention(_Strict):
    """How long things stay: files in the archive of the landing folder, counted from their load, and rows in raw.

    ``raw_days``: a load whose newest event is so many days older than the newest of the feed leaves for a file.
    """

    archive_days: Annotated[int, Field(gt=0)] | None = None
    raw_days: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Retention:
        if self.archive_days is None and self.raw_days is None:
            raise ValueError("archive_days: is missing, and so is raw_days: state one of them, or take retention out")
        return self


class Contract(_Strict):
    """One feed: its columns and types, its key, its event time, how it is delivered, and its limits.

    ``delivery``: ``append``, a file never changes; ``replace``, a path's new content replaces its rows;
    ``full_extract``, each delivery is the whole table as of its extract date, and all stay.
    """

    feed: Name
    domain: Name
    description: Text
    identity: Name | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None  # of amounts that name none
    event_time: Name | None = None
    user: Name | None = None  # none: nobody's rows, such as a list of products
    key: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    cadence: Cadence
    freshness: Freshness
    delivery: DeliveryMode = "replace"
    after_load: AfterLoad = "keep"
    retention: Retention | None = None
    csv: CsvFormat = Field(default_factory=CsvFormat)
    max_reject_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    columns: Annotated[tuple[Column, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _check(self) -> Contract:
        names = self.column_names
        known = f"columns: {', '.join(names)}"
        faults = []
        if re.search(r"_load_\d+(_\d+)?$", self.feed):
            faults.append("feed: a name that ends in _load_<number> is kept for the tables of large loads")
        faults += [f"feed: {self.feed!r} is a reserved word of SQL"] if self.feed in RESERVED else []
        faults += [f"columns: {name!r} is there twice" for name in _repeated(names)]
        faults += _alias_faults(self.columns)
        named = [("event_time", self.event_time)] if self.event_time else []
        named += [("user", self.user)] if self.user else []
        named += [(f"key[{place}]", name) for place, name in enumerate(self.key)]
        faults += [f"{place}: {name!r} is no column; {known}" for place, name in named if name not in names]
        faults += [f"key: {name!r} is there twice" for name in _repeated(self.key)]
        marked = [column.name for column in self.columns if column.personal]
        if marked and self.user is None:
            faults.append(
                f"user: is missing, but {', '.join(marked)} is personal: name the column that says whose it is"
            )
        if self.archive_days is not None and self.after_load != "archive":
            faults.append("retention: archive_days needs after_load: archive")
        if self.raw_days is not None and self.has_extract_date:
            faults.append(
                "retention: raw_days is for feeds whose rows have an event_time: the history of a full_extract is built"
                " from all of its extracts; remove this key, or land fewer extracts"
            )
        if self.has_extract_date and self.event_time is not None:
            faults.append("event_time: a full_extract has none, its rows are dated by their extract; remove this key")
        elif not self.has_extract_date and self.event_time is None:
            faults.append("event_time: is missing; only a feed with delivery full_extract has none")
        elif self.event_time is not None and self.event_time in names:
            column = self.column(self.event_time)
            if column.type not in EVENT_TIME_TYPES:
                faults.append(
                    f"event_time: column {column.name!r} is of type {column.type};"
                    f" accepted values: {', '.join(EVENT_TIME_TYPES)}"
                )
            if column.nullable:
                faults.append(f"event_time: column {column.name!r} must not be nullable: without it a row has no day")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns in the contract's order: that of the fields of a file without a header."""
        return tuple(column.name for column in self.columns)

    @property
    def has_extract_date(self) -> bool:
        """Whether raw has a column for the date of the extract that a row came with."""
        return self.delivery == "full_extract"

    @property
    def archive_days(self) -> int | None:
        """How many days files stay in the archive; None: for ever."""
        return self.retention.archive_days if self.retention else None

    @property
    def raw_days(self) -> int | None:
        """How many days rows stay in raw; None: for ever."""
        return self.retention.raw_days if self.retention else None

    @property
    def time_column(self) -> str:
        """The column of raw that says to which day a row belongs."""
        return self.event_time or EXTRACT_DATE

    @property
    def time_type(self) -> ColumnType:
        """Type of the time column."""
        return self.column(self.event_time).type if self.event_time else "date"

    @property
    def user_identity(self) -> str:
        """Feeds of one identity share their user ids; it is the domain unless the contract names another."""
        return self.identity or self.domain

    @property
    def personal_columns(self) -> tuple[str, ...]:
        """The columns whose values are shown in no log and no alert: the user's, and those that are marked."""
        return tuple(column.name for column in self.columns if column.personal or column.name == self.user)

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def header_key(name: str) -> str:
    """What is compared of a name in a header: no byte order mark, no white space around it, no upper case."""
    return name.strip("\ufeff \t\r\n\v\f\u00a0").casefold()


def load_contracts(folder: Path) -> dict[str, Contract]:
    """Read and check every contract below a folder.

    Returns:
        The contracts by feed, sorted by feed.

    Raises:
        ContractError: a file is no valid contract, or two describe one feed. The message names every fault of every
            file: file, key, and the accepted values where there is a list of them.
    """
    if not folder.is_dir():
        raise ContractError(f"{folder}: there is no such folder of feed contracts")
    faults: list[str] = []
    found: dict[str, tuple[Contract, str]] = {}
    for path in sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]):
        shown = path.relative_to(folder).as_posix()
        contract, file_faults = _read_contract(path)
        if contract is not None:
            expected = f"{contract.domain}/{contract.feed}.yml"
            if shown != expected:
                file_faults.append(f"feed, domain: say that this file is {expected}")
            if contract.feed in found:
                file_faults.append(f"feed: {contract.feed!r} is already described by {found[contract.feed][1]}")
            found.setdefault(contract.feed, (contract, shown))
        if file_faults:
            faults += [f"{path}:", *(f"  {fault}" for fault in file_faults)]
    if not faults:  # else a feed that is referred to may be one whose file could not be read
        contracts = {feed: contract for feed, (contract, _) in found.items()}
        for contract, shown in found.values():
            if reference_faults := list(_reference_faults(contract, contracts)):
                faults += [f"{folder / shown}:", *(f"  {fault}" for fault in reference_faults)]
    if faults:
        raise ContractError("\n".join(faults))
    return {feed: found[feed][0] for feed in sorted(found)}


def _read_contract(path: Path) -> tuple[Contract | None, list[str]]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506  (a safe loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return None, [f"is no valid YAML: {' '.join(str(error).split())}"]
    if not isinstance(content, dict):
        return None, [f"must be a mapping with the keys {', '.join(Contract.model_fields)}"]
    try:
        return Contract.model_validate(content), []
    except ValidationError as error:
        return None, [fault for detail in error.errors() for fault in _explain(detail)]


def _explain(detail: Any) -> list[str]:
    """Turn one error of pydantic into lines of the form ``key path: what is wrong; accepted values: …``."""
    path = _key_path(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    explanations: dict[str, Callable[[], str]] = {
        "extra_forbidden": lambda: f"unknown key; accepted keys: {', '.join(_keys_beside(detail['loc']))}",
        "missing": lambda: "is missing" + _accepted_suffix(detail["loc"]),
        "literal_error": lambda: f"{detail['input']!r} is not accepted" + _accepted_suffix(detail["loc"]),
        "string_pattern_mismatch": lambda: (
            f"{detail['input']!r} is no safe name; accepted: lower case letters, digits and _,"
            " a letter first, at most 40 characters"
        ),
    }
    if kind == "value_error":
        prefix = f"{path}." if path else ""
        return [f"{prefix}{line}" for line in str(context["error"]).splitlines()]
    if kind == _NOT_ACCEPTED:
        return [f"{path}: {detail['msg']}"]
    if kind in explanations:
        return [f"{path}: {explanations[kind]()}"]
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return [f"{path}: {message}, not {detail['input']!r}"]


def _key_path(location: Iterable[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _keys_beside(location: tuple[str | int, ...]) -> Iterable[str]:
    nested: dict[str | int, type[BaseModel]] = {
        **{"columns": Column, "references": Reference, "csv": CsvFormat, "freshness": Freshness},
        "retention": Retention,
    }
    return next((nested[part] for part in reversed(location[:-1]) if part in nested), Contract).model_fields


def _accepted_suffix(location: tuple[str | int, ...]) -> str:
    accepted: Mapping[str, Any] = {
        **{"type": ColumnType, "cadence": Cadence, "delivery": DeliveryMode, "after_load": AfterLoad},
        "date_order": DateOrder,
    }
    choices = get_args(accepted.get(str(location[-1])))
    return f"; accepted values: {', '.join(choices)}" if choices else ""


def _alias_faults(columns: Iterable[Column]) -> Iterable[str]:
    # Each alias against the names and aliases of the other columns, as a header is compared with them.
    owners: dict[str, str] = {}
    for column in columns:
        owners.setdefault(header_key(column.name), column.name)
    for column in columns:
        for alias in column.aliases:
            owner = owners.setdefault(header_key(alias), column.name)
            if owner != column.name:
                yield f"columns: alias {alias!r} of {column.name!r} is also a name or an alias of {owner!r}"


def _reference_faults(contract: Contract, contracts: Mapping[str, Contract]) -> Iterable[str]:
    for place, column in enumerate(contract.columns):
        if (reference := column.references) is None:
            continue
        path = f"columns[{place}].references"
        if (other := contracts.get(reference.feed)) is None:
            yield f"{path}.feed: {reference.feed!r} is no feed; feeds: {', '.join(sorted(contracts))}"
        elif reference.column not in other.column_names:
            known = ", ".join(other.column_names)
            yield f"{path}.column: {reference.column!r} is no column of {other.feed}; columns: {known}"
        elif other.raw_days is not None:
            yield (
                f"{path}.feed: rows of {other.feed} leave raw (its retention.raw_days), and would not be found: take"
                " raw_days out of that contract, or this reference out of this one"
            )


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a mapping with one key twice, where YAML's own would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := _repeated(map(str, keys)):
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)

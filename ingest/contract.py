"""Feed contracts: what a source delivers, as its YAML file promises it.

Everything about a feed follows from its contract: the raw table, the dbt
source with its tests, the check of a delivered file's header.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

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

# People are looked up by index, an entry of which holds 2,704 bytes: what is so long that it might not fit is no id.
MAX_USER_BYTES = 1_000

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


NOT_ACCEPTED = "not_accepted"


def _not_accepted(fault: str) -> PydanticCustomError:
    """What a check of one key raises; its text may hold braces."""
    return PydanticCustomError(NOT_ACCEPTED, "{fault}", {"fault": fault})


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
    # What gate_raw judges, and not the load: a row outside or without its match is no bad record, but bad data.
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    references: Reference | None = None

    @model_validator(mode="after")
    def _check(self) -> Column:
        faults = []
        accepted, limit = self.accepted_values or (), self.max_length
        if self.name in RESERVED:
            faults.append(f"name: {self.name!r} is a reserved word of SQL")
        if accepted and self.type != "text":
            faults.append("accepted_values: only a column of type text may have them")
        if twice := repeated(accepted):
            faults.append(f"accepted_values: listed twice: {', '.join(twice)}")
        if limit is not None and self.type != "text":
            faults.append("max_length: only a column of type text may have one")
        if limit is not None and (longer := [value for value in accepted if len(value) > limit]):
            faults.append(f"max_length: accepted_values has longer ones: {', '.join(longer)}")
        if self.format is not None and self.type not in EVENT_TIME_TYPES:
            faults.append(f"format: only a column of these types may have one: {', '.join(EVENT_TIME_TYPES)}")
        faults += [
            f"{bound}: only a column of these types may have one: {', '.join(NUMBER_TYPES)}"
            for bound, value in (("min", self.min), ("max", self.max))
            if value is not None and self.type not in NUMBER_TYPES
        ]
        if self.min is not None and self.max is not None and self.max < self.min:
            faults.append("max: must not be below min")
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
        faults += [f"nulls: {text!r} is there twice" for text in repeated(self.nulls)]
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
        faults += [f"columns: {name!r} is there twice" for name in repeated(names)]
        faults += _alias_faults(self.columns)
        named = [("event_time", self.event_time)] if self.event_time else []
        named += [("user", self.user)] if self.user else []
        named += [(f"key[{place}]", name) for place, name in enumerate(self.key)]
        faults += [f"{place}: {name!r} is no column; {known}" for place, name in named if name not in names]
        faults += [f"key: {name!r} is there twice" for name in repeated(self.key)]
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

    def max_bytes(self, column: Column) -> int | None:
        """Most bytes of a text of the column; None: any."""
        return MAX_USER_BYTES if column.name == self.user and column.type == "text" else None

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def header_key(name: str) -> str:
    """What is compared of a name in a header: no byte order mark, no white space around it, no upper case."""
    return name.strip("\ufeff \t\r\n\v\f\u00a0").casefold()


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


def repeated(names: Iterable[str]) -> list[str]:
    """What is there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]

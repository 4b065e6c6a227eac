"""Rows of the feeds of engagement as bytes of CSV and as tables of Arrow, from tables of ready texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from sample_data.activity import APP_TYPES, CATEGORIES, MILES_TYPES, AppEvents, Events, MilesEvents
from sample_data.draws import Int64s
from sample_data.engagement import (
    AGE_GROUPS,
    COUNTRIES,
    DEVICES,
    GENDERS,
    OLD_DAYS,
    PRODUCTS,
    SEGMENTS,
    UTM_SOURCES,
    Accounts,
)
from sample_data.files import DAY, Bytes, TimeTexts, csv_block, digit_table, repeated, text_table

HEADERS = {
    "events": b"event_time,user_id,event_type,transaction_category,miles_amount,platform,utm_source,country\n",
    "app_events": (b"event_id,user_id,product,event_type,event_timestamp,session_id,duration_seconds,device,country\n"),
    "app_users": b"user_id,signup_date,country,age_group,gender,user_segment,updated_at\n",
}
APP_EVENTS_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.string()),
        ("product", pa.string()),
        ("event_type", pa.string()),
        ("event_timestamp", pa.timestamp("us", tz="UTC")),
        ("session_id", pa.string()),
        ("duration_seconds", pa.int32()),
        ("device", pa.string()),
        ("country", pa.string()),
    ]
)
ID_DIGITS = {"event": 15, "session": 13}
MAX_AMOUNT = 2_000_000  # in hundredths
MAX_DURATION = 601


class EngagementTexts:
    """All texts that the feeds are made of; times count from the first midnight of ``start``."""

    def __init__(self, accounts: Accounts, user_texts: Bytes, start: date, days: int) -> None:
        """``user_texts`` has one row per user of the sample."""
        self._accounts = accounts
        nobody = np.zeros((1, user_texts.shape[1]), dtype=np.uint8)
        self._users = np.concatenate([user_texts[accounts.user], nobody])
        self._start = np.datetime64(start, "us").astype(np.int64)
        self._times = TimeTexts(start - timedelta(days=OLD_DAYS), OLD_DAYS + days)
        self._dates = text_table([f",{start + timedelta(days=day)}" for day in range(-OLD_DAYS, days)])
        utm_sources = [UTM_SOURCES[number] for number in range(len(UTM_SOURCES))]
        self._miles_kinds = _combined(MILES_TYPES, CATEGORIES)
        self._miles_ends = _combined(DEVICES, utm_sources, COUNTRIES, end="\n")
        self._app_kinds = _combined(PRODUCTS, APP_TYPES, end=",")
        self._app_ends = _combined(DEVICES, COUNTRIES, end="\n")
        self._user_ends = _combined(COUNTRIES, AGE_GROUPS, GENDERS, SEGMENTS, end=",")
        # The last text of each is empty: number -1 is none.
        self._whole_miles = text_table([*(f",{miles}." for miles in range(MAX_AMOUNT // 100)), ","])
        self._hundredths = text_table([*(f"{hundredth:02d}" for hundredth in range(100)), ""])
        self._durations = text_table([*(f",{seconds}" for seconds in range(MAX_DURATION + 1)), ","])

    def csv(self, rows: Events) -> bytes:
        """The rows of one of the feeds of events."""
        if isinstance(rows, MilesEvents):
            return self._miles_events(rows)
        assert isinstance(rows, AppEvents)
        return self._app_events(rows)

    def _miles_events(self, rows: MilesEvents) -> bytes:
        end = (rows.device * len(UTM_SOURCES) + rows.utm_source) * len(COUNTRIES) + rows.country
        return csv_block(
            [
                *self._times.parts(rows.time + OLD_DAYS * DAY),
                repeated(",", len(end)),
                self._users[rows.account],
                self._miles_kinds[rows.event_type * len(CATEGORIES) + rows.category],
                self._whole_miles[np.where(rows.amount < 0, -1, rows.amount // 100)],
                self._hundredths[np.where(rows.amount < 0, -1, rows.amount % 100)],
                self._miles_ends[end],
            ]
        )

    def _app_events(self, rows: AppEvents) -> bytes:
        comma = repeated(",", len(rows.time))
        return csv_block(
            [
                digit_table(rows.event_id, ID_DIGITS["event"]),
                comma,
                self._users[rows.account],
                self._app_kinds[rows.product * len(APP_TYPES) + rows.event_type],
                *self._times.parts(rows.time + OLD_DAYS * DAY),
                comma,
                digit_table(rows.session_id, ID_DIGITS["session"]),
                self._durations[rows.duration],
                self._app_ends[rows.device * len(COUNTRIES) + rows.country],
            ]
        )

    def app_events_table(self, rows: AppEvents) -> pa.Table:
        """The rows of feed app_events, as Parquet holds them."""
        columns = [
            _strings(digit_table(rows.event_id, ID_DIGITS["event"])),
            _strings(self._users[rows.account], rows.account < len(self._accounts.user)),
            _chosen(PRODUCTS, rows.product),
            _chosen(APP_TYPES, rows.event_type),
            pa.array(rows.time + self._start).cast(pa.timestamp("us", tz="UTC")),
            _strings(digit_table(rows.session_id, ID_DIGITS["session"])),
            pa.array(rows.duration.astype(np.int32), mask=rows.duration < 0),
            _chosen(DEVICES, rows.device),
            _chosen(COUNTRIES, rows.country),
        ]
        return pa.Table.from_arrays(columns, schema=APP_EVENTS_SCHEMA)

    def app_users(self, listed: Int64s, day: int) -> bytes:
        """The accounts of these numbers as they are at the end of a day."""
        accounts, end = self._accounts, (day + 1) * DAY
        updated_at = accounts.signed_up_at[listed]
        values = []
        for name in ("country", "age_group", "segment"):
            changed_at = getattr(accounts, f"{name}_changed_at")[listed]
            has_changed = changed_at < end
            now, later = accounts.at(name, listed), accounts.at(f"{name}_later", listed)
            values.append(np.where(has_changed, later, now))
            updated_at = np.where(has_changed, np.maximum(updated_at, changed_at), updated_at)
        country, age_group, segment = values
        kind = ((country * len(AGE_GROUPS) + age_group) * len(GENDERS) + accounts.at("gender", listed)) * len(SEGMENTS)
        return csv_block(
            [
                self._users[listed],
                self._dates[accounts.signed_up_at[listed] // DAY + OLD_DAYS],
                self._user_ends[kind + segment],
                *self._times.parts(updated_at + OLD_DAYS * DAY),
                repeated("\n", len(listed)),
            ]
        )


def _combined(*fields: Sequence[str], end: str = "") -> Bytes:
    """The texts of every combination of the fields' values, each after a comma; the last field changes first."""
    return text_table([f",{','.join(values)}{end}" for values in itertools.product(*fields)])


def _strings(texts: Bytes, is_valid: np.ndarray | None = None) -> pa.Array:
    """Texts of equal length; what is not valid is null."""
    count, width = texts.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    valid = None if is_valid is None else pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(texts))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), data, valid)


def _chosen(texts: Sequence[str], numbers: Int64s) -> pa.Array:
    """The texts of these numbers; an empty one is null."""
    choices = pa.array([text or None for text in texts], pa.string())
    return choices.take(pa.array(numbers))

"""An independent calculation of the acquisition tables: the definitions of docs/metrics.md in plain Python.

It shares no code and no SQL with the warehouse. It reads landed CSV files of sessions and conversions and gives the
rows that ``dwh.fct_registrations``, ``dwh.dim_users`` and the marts must hold. Counting is in integers, time in whole
microseconds, the rest in fractions; rates and hours are rounded to six places, halves up, at the very end.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

PLACES = 6
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1) // MICROSECOND
NONE = "(none)"
UNATTRIBUTED = "UNATTRIBUTED"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rule table.

    ``channel`` None stands for any channel that no rule above names, ``window_hours`` None for any age, ``is_paid``
    None for either.
    """

    priority: int
    channel: str | None
    window_hours: int | Fraction | None
    label: str
    is_paid: bool | None = None


DEFAULT_RULES = (
    Rule(1, "PAID SEARCH", 3, "PAID_SEARCH"),
    Rule(2, "IMPRESSION", 1, "PAID_IMPRESSION"),
    Rule(3, "ORGANIC SEARCH", 12, "ORGANIC_SEARCH"),
    Rule(4, "DIRECT", None, "DIRECT"),
    Rule(5, None, None, "OTHERS"),
)


@dataclass(frozen=True, slots=True)
class Session:
    """A distinct session; ``channel`` is the medium trimmed and in upper case, None where it is empty."""

    user_id: str
    started_at: datetime
    is_paid: bool
    channel: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """A distinct registration."""

    user_id: str
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Landed:
    """All landed files: the distinct rows, and how many rows there were with the duplicates."""

    sessions: frozenset[Session]
    registrations: frozenset[Registration]
    session_row_count: int
    registration_row_count: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """One registration with its label; ``session`` is the winning one, ``age_hours`` its age at the registration."""

    registration: Registration
    label: str
    session: Session | None
    age_hours: Decimal | None
    touch_count: int
    unattributed_reason: str | None


@dataclass(frozen=True, slots=True, order=True)
class ChannelAttribution:
    """A row of mart.channel_attribution; ``channel`` is the label."""

    attribution_model: str
    channel: str
    registration_month: date
    registration_count: int
    registration_rate: Decimal


@dataclass(frozen=True, slots=True)
class ChannelConversion:
    """A row of mart.channel_conversion; ``channel`` is the medium."""

    channel: str
    session_count: int
    touched_user_count: int
    converted_user_count: int
    conversion_rate: Decimal
    hours_to_conversion_avg: Decimal | None
    hours_to_conversion_median: Decimal | None
    hours_to_conversion_p90: Decimal | None


@dataclass(frozen=True, slots=True, order=True)
class AcquisitionDay:
    """A row of mart.acquisition_daily; ``channel`` is the medium, UNATTRIBUTED for registrations without a session."""

    activity_date: date
    channel: str
    session_count: int
    paid_session_count: int
    registration_count: int


@dataclass(frozen=True, slots=True, order=True)
class User:
    """A row of dwh.dim_users."""

    identity: str
    user_id: str
    domains: tuple[str, ...]
    first_date: date
    last_date: date


@dataclass(frozen=True, slots=True)
class Expected:
    """Everything that the warehouse must show for the landed files, each in the order of its key."""

    landed: Landed
    registrations: list[Attribution]
    channel_attribution: list[ChannelAttribution]
    channel_conversion: list[ChannelConversion]
    acquisition_daily: list[AcquisitionDay]
    dim_users: list[User]


def calculate(landing: Path, rules: Sequence[Rule] = DEFAULT_RULES) -> Expected:
    """All tables for the files below ``landing``."""
    landed = read_landing(landing)
    registrations = attribute(landed, rules)
    return Expected(
        landed,
        registrations,
        channel_attribution(registrations),
        channel_conversion(landed),
        acquisition_daily(landed, registrations),
        dim_users(landed),
    )


def read_landing(landing: Path) -> Landed:
    """Read every .csv and .csv.gz file below ``landing``/sessions and ``landing``/conversions.

    Raises:
        ValueError: a user id, time or flag cannot be read. The oracle knows good files only.
    """
    sessions: set[Session] = set()
    registrations: set[Registration] = set()
    session_row_count = registration_row_count = 0
    for row in _csv_rows(landing / "sessions"):
        session_row_count += 1
        sessions.add(
            Session(
                str(int(row["userid"])),
                parse_time(row["time_started"]),
                _parse_flag(row["is_paid"]),
                normal_channel(row["medium"]),
            )
        )
    for row in _csv_rows(landing / "conversions"):
        registration_row_count += 1
        registrations.add(Registration(str(int(row["userid"])), parse_time(row["registration_time"])))
    return Landed(frozenset(sessions), frozenset(registrations), session_row_count, registration_row_count)


def normal_channel(medium: str | None) -> str | None:
    """The medium without outer spaces and in upper case; None where nothing is left."""
    return (medium or "").strip(" ").upper() or None


def parse_time(text: str) -> datetime:
    """The instant in UTC; a time without an offset is UTC."""
    time = datetime.fromisoformat(text.strip(" "))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def attribute(landed: Landed, rules: Sequence[Rule] = DEFAULT_RULES) -> list[Attribution]:
    """Each registration with its label, ordered by user id (as text) and time."""
    sessions_of: dict[str, list[Session]] = defaultdict(list)
    for session in landed.sessions:
        sessions_of[session.user_id].append(session)
    in_order = sorted(landed.registrations, key=lambda r: (r.user_id, r.registered_at))
    return [_attribute_one(registration, sessions_of.get(registration.user_id, []), rules) for registration in in_order]


def channel_attribution(attributions: Iterable[Attribution]) -> list[ChannelAttribution]:
    """Registrations by month and label; the rate is the share of the month's registrations."""
    counts: Counter[tuple[date, str]] = Counter()
    month_counts: Counter[date] = Counter()
    for attribution in attributions:
        month = attribution.registration.registered_at.date().replace(day=1)
        counts[month, attribution.label] += 1
        month_counts[month] += 1
    return sorted(
        ChannelAttribution("rule_based", label, month, count, rounded(Fraction(count, month_counts[month])))
        for (month, label), count in counts.items()
    )


def channel_conversion(landed: Landed) -> list[ChannelConversion]:
    """Per medium: who was touched, who of them registered afterwards, and how long that took."""
    registered_of: dict[str, list[datetime]] = defaultdict(list)
    for registration in landed.registrations:
        registered_of[registration.user_id].append(registration.registered_at)
    session_counts: Counter[str] = Counter()
    first_touch: dict[str, dict[str, datetime]] = defaultdict(dict)
    for session in landed.sessions:
        channel = session.channel or NONE
        session_counts[channel] += 1
        users = first_touch[channel]
        users[session.user_id] = min(session.started_at, users.get(session.user_id, session.started_at))

    rows = []
    for channel in sorted(first_touch):
        waits = []
        for user_id, touched_at in first_touch[channel].items():
            later = [time for time in registered_of.get(user_id, []) if time >= touched_at]
            if later:
                waits.append(_microseconds(min(later) - touched_at))
        touched_count = len(first_touch[channel])
        rows.append(
            ChannelConversion(
                channel,
                session_counts[channel],
                touched_count,
                len(waits),
                rounded(Fraction(len(waits), touched_count)),
                rounded(Fraction(sum(waits), len(waits) * HOUR)) if waits else None,
                rounded(percentile(waits, Fraction(1, 2)) / HOUR) if waits else None,
                rounded(percentile(waits, Fraction(9, 10)) / HOUR) if waits else None,
            )
        )
    return rows


def acquisition_daily(landed: Landed, attributions: Iterable[Attribution]) -> list[AcquisitionDay]:
    """Sessions by their day and medium; registrations by their own day and the winning session's medium."""
    sessions: Counter[tuple[date, str]] = Counter()
    paid: Counter[tuple[date, str]] = Counter()
    registrations: Counter[tuple[date, str]] = Counter()
    for session in landed.sessions:
        key = (session.started_at.date(), session.channel or NONE)
        sessions[key] += 1
        paid[key] += session.is_paid
    for attribution in attributions:
        winner = attribution.session
        channel = UNATTRIBUTED if winner is None else winner.channel or NONE
        registrations[attribution.registration.registered_at.date(), channel] += 1
    keys = sorted(sessions.keys() | registrations.keys())
    return [AcquisitionDay(*key, sessions[key], paid[key], registrations[key]) for key in keys]


def dim_users(landed: Landed) -> list[User]:
    """Every user with a session or a registration, and the first and last day with one."""
    days: dict[str, set[date]] = defaultdict(set)
    for session in landed.sessions:
        days[session.user_id].add(session.started_at.date())
    for registration in landed.registrations:
        days[registration.user_id].add(registration.registered_at.date())
    return [User("customer", user_id, ("acquisition",), min(seen), max(seen)) for user_id, seen in sorted(days.items())]


def percentile(values: Iterable[int], share: Fraction) -> Fraction:
    """The continuous percentile: linear between the two values around position share * (n - 1)."""
    in_order = sorted(values)
    position = share * (len(in_order) - 1)
    below = position.numerator // position.denominator
    above = min(below + 1, len(in_order) - 1)
    return in_order[below] + (position - below) * (in_order[above] - in_order[below])


def rounded(value: Fraction, places: int = PLACES) -> Decimal:
    """The value (not negative) as a decimal of ``places`` places, halves up."""
    scaled = value * 10**places + Fraction(1, 2)
    return Decimal(scaled.numerator // scaled.denominator).scaleb(-places)


def round_decimal(value: Decimal) -> Decimal:
    """A warehouse's numeric in the oracle's places, for comparison."""
    return value.quantize(Decimal(1).scaleb(-PLACES), ROUND_HALF_UP)


def _attribute_one(registration: Registration, sessions: Sequence[Session], rules: Sequence[Rule]) -> Attribution:
    touches = [session for session in sessions if session.started_at <= registration.registered_at]
    named_above: set[str] = set()
    for rule in sorted(rules, key=lambda rule: rule.priority):
        channel = normal_channel(rule.channel)
        matching = []
        for touch in touches:
            is_channel = touch.channel not in named_above if channel is None else touch.channel == channel
            is_payment = rule.is_paid is None or touch.is_paid == rule.is_paid
            age = _microseconds(registration.registered_at - touch.started_at)
            is_inside = rule.window_hours is None or age <= rule.window_hours * HOUR
            if is_channel and is_payment and is_inside:
                matching.append(touch)
        if channel is not None:
            named_above.add(channel)
        if matching:
            winner = max(matching, key=_touch_order)
            age = _microseconds(registration.registered_at - winner.started_at)
            return Attribution(registration, rule.label, winner, rounded(Fraction(age, HOUR)), len(touches), None)
    if not sessions:
        reason = "no_session"
    elif not touches:
        reason = "only_sessions_after"
    else:
        reason = "only_sessions_outside_window"
    return Attribution(registration, UNATTRIBUTED, None, None, len(touches), reason)


def _touch_order(session: Session) -> tuple[datetime, bool, bytes, bool]:
    """Touches by time, then channel (null first, then by bytes, as collation C does), then is_paid."""
    channel = session.channel
    return session.started_at, channel is not None, (channel or "").encode(), session.is_paid


def _microseconds(duration: timedelta) -> int:
    return duration // MICROSECOND


def _parse_flag(text: str) -> bool:
    word = text.strip().lower()
    if word in {"true", "t", "yes", "y", "on", "1"}:
        return True
    if word in {"false", "f", "no", "n", "off", "0"}:
        return False
    raise ValueError(f"not a boolean: {text!r}")


def _csv_rows(folder: Path) -> Iterator[dict[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(".csv"):
            with path.open(encoding="utf-8", newline="") as source:
                yield from csv.DictReader(source)
        elif path.name.endswith(".csv.gz"):
            with gzip.open(path, "rt", encoding="utf-8", newline="") as source:
                yield from csv.DictReader(source)

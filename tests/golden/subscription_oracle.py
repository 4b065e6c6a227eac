"""What the tables of subscriptions must hold, calculated from the landed files alone, day by day, without SQL.

Written from the definitions of docs/metrics.md: as plain as can be, and slow.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

CURRENCY = "USD"  # of amounts that name none
ALL, NONE = "all", "(none)"
DAY = timedelta(days=1)
Text = str | None
Amount = Decimal | Fraction | int | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A distinct row of payments."""

    payment_id: str
    user_id: str
    day: date
    amount: Decimal
    currency_code: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row of the newest extract of subscriptions."""

    subscription_id: str
    user_id: str
    start: date
    end: date | None
    price: Decimal

    def is_on(self, day: date) -> bool:
        """Subscribed on the day."""
        return self.start <= day and (self.end is None or self.end > day)


@dataclass(frozen=True, slots=True)
class Version:
    """A row of a slowly changing dimension; ``values`` are the feed's columns."""

    values: tuple[object, ...]
    valid_from: date
    valid_to: date | None
    is_current: bool


@dataclass(frozen=True, slots=True)
class UserMonth:
    """A row of dwh.fct_user_monthly_metrics."""

    user_id: str
    month_start: date
    currency_code: str
    revenue_amount: Amount
    refund_amount: Amount
    payment_count: int
    watched_hours: Amount
    active_day_count: int
    is_active: bool
    is_paying: bool
    is_subscribed: bool
    plan: Text
    country: Text


@dataclass(frozen=True, slots=True)
class MonthlyRevenue:
    """A row of mart.monthly_revenue."""

    month_start: date
    country: str
    plan: str
    currency_code: str
    revenue_amount: Amount
    refund_amount: Amount
    payment_count: int
    paying_user_count: int
    active_user_count: int
    arpu_amount: Amount
    arppu_amount: Amount
    is_complete: bool


@dataclass(frozen=True, slots=True)
class MrrMovement:
    """A row of mart.mrr_movements."""

    month_start: date
    currency_code: str
    opening_mrr_amount: Amount
    new_mrr_amount: Amount
    expansion_mrr_amount: Amount
    contraction_mrr_amount: Amount
    churn_mrr_amount: Amount
    reactivation_mrr_amount: Amount
    closing_mrr_amount: Amount
    opening_subscriber_count: int
    new_subscriber_count: int
    churned_subscriber_count: int
    reactivated_subscriber_count: int
    closing_subscriber_count: int
    subscriber_churn_rate: Amount
    ltv_amount: Amount
    is_complete: bool


@dataclass(frozen=True, slots=True)
class RevenueRetention:
    """A row of mart.revenue_retention."""

    cohort_month: date
    month_offset: int
    currency_code: str
    cohort_size: int
    revenue_amount: Amount
    cumulative_revenue_amount: Amount
    cumulative_revenue_per_user_amount: Amount


@dataclass(frozen=True, slots=True)
class Expected:
    """Every table, in no order, and the last loaded day."""

    as_of_date: date
    subscribers: list[Version]
    subscriptions: list[Version]
    subscription_months: list[tuple[str, str, date, Decimal, bool]]
    user_months: list[UserMonth]
    monthly_revenue: list[MonthlyRevenue]
    mrr_movements: list[MrrMovement]
    revenue_retention: list[RevenueRetention]


def calculate(landing: Path) -> Expected:
    """Everything, from what lies in the landing folder."""
    company = Company(landing)
    user_months = list(company.user_months())
    revenue = list(company.monthly_revenue(user_months))
    return Expected(
        as_of_date=company.now,
        subscribers=history(company.subscriber_extracts),
        subscriptions=history(company.subscription_extracts),
        subscription_months=list(company.subscription_months()),
        user_months=user_months,
        monthly_revenue=revenue,
        mrr_movements=list(company.mrr_movements(revenue)),
        revenue_retention=list(company.revenue_retention()),
    )


def history(extracts: Mapping[date, Mapping[str, tuple[object, ...]]]) -> list[Version]:
    """Take extract after extract: what is missing or differs closes, what is there and not open opens."""
    closed: list[Version] = []
    still_open: dict[str, tuple[tuple[object, ...], date]] = {}
    for day in sorted(extracts):
        listed = extracts[day]
        for key, (values, since) in list(still_open.items()):
            if listed.get(key) != values:
                closed.append(Version(values, since, day, is_current=False))
                del still_open[key]
        for key, values in listed.items():
            still_open.setdefault(key, (values, day))
    return closed + [Version(values, since, None, is_current=True) for values, since in still_open.values()]


class Company:
    """What the files say."""

    def __init__(self, landing: Path) -> None:
        self.payments = {
            Payment(
                row["payment_id"].strip(),
                row["user_id"].strip(),
                date.fromisoformat(row["payment_date"]),
                Decimal(row["amount"]).normalize(),
                row["currency_code"].strip().upper() or CURRENCY,
            )
            for _, row in records(landing, "payments")
        }
        self.viewings = {
            (row["user_id"].strip(), date.fromisoformat(row["watch_date"]), Decimal(row["hours_watched"]).normalize())
            for _, row in records(landing, "viewing_activity")
        }
        self.subscriber_extracts: dict[date, dict[str, tuple[object, ...]]] = {}
        for path, row in records(landing, "subscribers"):
            signup = date.fromisoformat(row["signup_date"]) if row["signup_date"] else None
            values = (row["user_id"].strip(), row["country"].strip() or None, signup, row["plan_type"].strip() or None)
            self.subscriber_extracts.setdefault(extract_date(path), {})[row["user_id"].strip()] = values
        self.subscription_extracts: dict[date, dict[str, tuple[object, ...]]] = {}
        for path, row in records(landing, "subscriptions"):
            key, end = row["subscription_id"].strip(), row["end_date"]
            self.subscription_extracts.setdefault(extract_date(path), {})[key] = (
                *(key, row["user_id"].strip(), date.fromisoformat(row["start_date"])),
                *(date.fromisoformat(end) if end else None, Decimal(row["monthly_price"]).normalize()),
            )
        newest = max(self.subscription_extracts)
        self.subscriptions = [Subscription(*row) for row in self.subscription_extracts[newest].values()]  # type: ignore[arg-type]
        self.subscribers = self.subscriber_extracts[max(self.subscriber_extracts)]
        days = [payment.day for payment in self.payments] + [day for _, day, _ in self.viewings]
        days += [*self.subscriber_extracts, *self.subscription_extracts]
        self.now = max(days)
        self.first = min(days + [each.start for each in self.subscriptions if each.start <= self.now])
        self.months: list[date] = [self.first.replace(day=1)]
        while next_month(self.months[-1]) <= self.now:
            self.months.append(next_month(self.months[-1]))
        self.currencies = sorted({payment.currency_code for payment in self.payments}) or [CURRENCY]
        self.users = {payment.user_id for payment in self.payments} | {user for user, _, _ in self.viewings}
        self.users |= {each.user_id for each in self.subscriptions}

    def valued_on(self, month: date) -> date:
        """The last day of the month, or the last loaded day."""
        return min(next_month(month) - DAY, self.now)

    def is_complete(self, month: date) -> bool:
        return self.first <= month and next_month(month) - DAY <= self.now

    def days(self, month: date) -> Iterator[date]:
        day = month
        while day <= self.valued_on(month):
            yield day
            day += DAY

    def subscription_months(self) -> Iterator[tuple[str, str, date, Decimal, bool]]:
        for each in self.subscriptions:
            for month in self.months:
                if any(each.is_on(day) for day in self.days(month)):
                    is_on_at_end = each.is_on(self.valued_on(month))
                    yield each.subscription_id, each.user_id, month, each.price, is_on_at_end

    def user_months(self) -> Iterator[UserMonth]:
        for user in self.users:
            _, country, _, plan = self.subscribers.get(user, (None, None, None, None))
            own = [each for each in self.subscriptions if each.user_id == user]
            for month in self.months:
                paid = [each for each in self.payments if each.user_id == user and each.day.replace(day=1) == month]
                hours = {(day, h) for who, day, h in self.viewings if who == user and day.replace(day=1) == month}
                is_on = any(each.is_on(day) for each in own for day in self.days(month))
                if not (paid or hours or is_on):
                    continue
                currencies = sorted(
                    {each.currency_code for each in paid} or {CURRENCY}, key=lambda c: (c != CURRENCY, c)
                )
                for place, currency in enumerate(currencies):
                    amounts = [each.amount for each in paid if each.currency_code == currency]
                    is_first = place == 0
                    yield UserMonth(
                        *(user, month, currency, sum(amounts), -sum(a for a in amounts if a < 0), len(amounts)),
                        watched_hours=sum(h for _, h in hours) if is_first else 0,
                        active_day_count=len({day for day, _ in hours}) if is_first else 0,
                        is_active=bool(hours) and is_first,
                        is_paying=sum(amounts) > 0,
                        is_subscribed=is_first and any(each.is_on(self.valued_on(month)) for each in own),
                        plan=plan,  # type: ignore[arg-type]
                        country=country,  # type: ignore[arg-type]
                    )

    def monthly_revenue(self, user_months: list[UserMonth]) -> Iterator[MonthlyRevenue]:
        for month in self.months:
            rows = [row for row in user_months if row.month_start == month and (row.is_active or row.payment_count)]
            slices = {
                (ALL, ALL),
                *((row.country or NONE, ALL) for row in rows),
                *((ALL, row.plan or NONE) for row in rows),
            }
            for country, plan in slices:
                inside = [
                    row for row in rows if country in (ALL, row.country or NONE) and plan in (ALL, row.plan or NONE)
                ]
                active = len({row.user_id for row in inside if row.is_active})
                for currency in self.currencies:
                    ours = [row for row in inside if row.currency_code == currency]
                    revenue = sum(Fraction(row.revenue_amount or 0) for row in ours)
                    paying = sum(row.is_paying for row in ours)
                    yield MonthlyRevenue(
                        *(
                            month,
                            country,
                            plan,
                            currency,
                            revenue,
                            sum(Fraction(row.refund_amount or 0) for row in ours),
                        ),
                        *(sum(row.payment_count for row in ours), paying, active),
                        *(divided(revenue, active), divided(revenue, paying), self.is_complete(month)),
                    )

    def mrr_movements(self, revenue: list[MonthlyRevenue]) -> Iterator[MrrMovement]:
        before: dict[str, Decimal] = {}  # the subscribed users at the month end before, and what they pay
        ever: set[str] = set()
        for month in self.months:
            after: dict[str, Decimal] = {}
            for each in self.subscriptions:
                if each.is_on(self.valued_on(month)):
                    after[each.user_id] = after.get(each.user_id, Decimal(0)) + each.price
            sums = dict.fromkeys(("new", "expansion", "contraction", "churn", "reactivation"), Decimal(0))
            for user in before.keys() | after.keys():
                was, now = before.get(user, Decimal(0)), after.get(user, Decimal(0))
                if was == 0:
                    sums["reactivation" if user in ever else "new"] += now
                elif now == 0:
                    sums["churn"] += was
                else:
                    sums["expansion"] += max(now - was, Decimal(0))
                    sums["contraction"] += max(was - now, Decimal(0))
            arrived = after.keys() - before.keys()
            churned = len(before.keys() - after.keys())
            churn_rate = divided(Fraction(churned), len(before))
            [arppu] = [
                row.arppu_amount
                for row in revenue
                if (row.month_start, row.country, row.plan, row.currency_code) == (month, ALL, ALL, CURRENCY)
            ] or [None]
            yield MrrMovement(
                *(month, CURRENCY, sum(before.values()), *sums.values(), sum(after.values())),
                *(len(before), len(arrived - ever), churned, len(arrived & ever), len(after)),
                churn_rate,
                Fraction(arppu) / churn_rate if arppu is not None and churn_rate else None,
                self.is_complete(month),
            )
            ever |= after.keys()
            before = after

    def revenue_retention(self) -> Iterator[RevenueRetention]:
        first: dict[str, date] = {}
        for payment in self.payments:
            if payment.amount > 0:
                month = payment.day.replace(day=1)
                first[payment.user_id] = min(month, first.get(payment.user_id, month))
        for cohort in set(first.values()):
            users = {user for user, month in first.items() if month == cohort}
            for currency in self.currencies:
                total = Decimal(0)
                for offset, month in enumerate(month for month in self.months if month >= cohort):
                    revenue = sum(
                        (
                            each.amount
                            for each in self.payments
                            if each.user_id in users
                            and each.currency_code == currency
                            and each.day.replace(day=1) == month
                        ),
                        Decimal(0),
                    )
                    total += revenue
                    per_user = Fraction(total) / len(users)
                    yield RevenueRetention(cohort, offset, currency, len(users), revenue, total, per_user)


def records(landing: Path, feed: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Every record of a feed's files."""
    for path in sorted((landing / feed).rglob("*.csv")):
        with path.open(encoding="utf-8", newline="") as source:
            for row in csv.DictReader(source):
                yield path, row


def extract_date(path: Path) -> date:
    return date.fromisoformat(path.parent.name.removeprefix("extract_date="))


def next_month(month: date) -> date:
    return (month.replace(day=28) + 4 * DAY).replace(day=1)


def divided(amount: Fraction, count: int) -> Fraction | None:
    return amount / count if count else None

"""What a chart asks the warehouse, and which of the reader's filters its mart can answer.

Source: tables and views of schema ``mart``. A statement is fixed text; what a reader chooses is bound to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, LiteralString

ALL = "all"
# In this order they win where a mart has no slice for two of them together.
FILTERS = ("product", "country", "category", "platform", "plan")
DATES = "date range"


@dataclass(frozen=True, slots=True)
class View:
    """What the reader chose: days, both included, and a value, or ``all``, for each filter."""

    from_date: date
    to_date: date
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement over marts.

    Args:
        sql: the statement; its parameters are ``from_date``, ``to_date``, the filters, and others that a page sets.
        marts: what it reads; the first is the one whose descriptions explain it.
        slices: sets of filters that the mart can answer together; none: it has no slices.
        has_dates: whether the date range applies.
        is_operations: whether it changes without a publication.
    """

    sql: LiteralString
    marts: tuple[str, ...]
    slices: tuple[frozenset[str], ...] = ()
    has_dates: bool = True
    is_operations: bool = False

    def bind(self, view: View) -> tuple[dict[str, Any], list[str]]:
        """Parameters of the statement, and the chosen filters that do not apply."""
        applied: frozenset[str] = frozenset()
        ignored = []
        for name in FILTERS:
            if view.values.get(name, ALL) == ALL:
                continue
            if any(applied | {name} <= together for together in self.slices):
                applied |= {name}
            else:
                ignored.append(name)
        parameters: dict[str, Any] = {name: view.values[name] if name in applied else ALL for name in FILTERS}
        return parameters | {"from_date": view.from_date, "to_date": view.to_date}, ignored


def slices(*together: str) -> tuple[frozenset[str], ...]:
    """Sets of filters, each as its names with spaces between."""
    return tuple(frozenset(names.split()) for names in together)

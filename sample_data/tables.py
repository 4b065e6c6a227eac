"""Tables whose columns are arrays of equal length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sample_data.draws import Int64s


@dataclass(frozen=True, slots=True)
class Table:
    """Base of all tables: the fields of a subclass are its columns."""

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """The rows of several, one after another."""
        tables = list(parts)
        return cls(*(np.concatenate([getattr(table, field.name) for table in tables]) for field in fields(cls)))

    def __add__(self, other: Self) -> Self:
        """These rows, then the others."""
        return self.together([self, other])

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        """Only these rows, in this order."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def in_order_of(self, column: Int64s) -> Self:
        """The same rows, those with the least value of a column first."""
        return self.where(np.argsort(column, kind="stable"))

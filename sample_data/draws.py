"""Random integers that are the same on every Python, numpy and processor.

Only the raw 64-bit stream of PCG64 is used, the one part of numpy.random whose values are promised to stay;
everything else here is integer arithmetic, so no rounding and no library version can change a byte of a file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]

_HALF = np.uint64(32)


class Draws:
    """A stream of random integers, independent for every key."""

    def __init__(self, *key: int) -> None:
        """Start the stream named by ``key``: the seed, then what tells this stream from the others of the seed."""
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def raw(self, size: int) -> NDArray[np.uint64]:
        """``size`` integers from 0 to 2^64 - 1."""
        return np.asarray(self._bits.random_raw(size), dtype=np.uint64)

    def below(self, bound: int, size: int) -> Int64s:
        """``size`` integers from 0 to ``bound`` - 1, for a bound of at most 2^32."""
        # Multiply and shift: the upper half of the product. The bias, at most bound / 2^32, is of no matter here.
        return (((self.raw(size) >> _HALF) * np.uint64(bound)) >> _HALF).astype(np.int64)

    def below_each(self, bounds: Int64s) -> Int64s:
        """One integer from 0 to bound - 1 for every bound, which may be any positive 64-bit integer."""
        return (self.raw(len(bounds)) % bounds.astype(np.uint64)).astype(np.int64)

    def chance(self, per_mille: int, size: int) -> NDArray[np.bool_]:
        """``size`` booleans, each true in ``per_mille`` of 1,000 cases."""
        return self.below(1000, size) < per_mille

    def pick(self, urn: Int64s, size: int) -> Int64s:
        """``size`` values from ``urn``, each entry of it as likely as any other."""
        return urn[self.below(len(urn), size)]

    def shuffled(self, count: int) -> Int64s:
        """The integers from 0 to ``count`` - 1 in random order."""
        return np.argsort(self.raw(count), kind="stable").astype(np.int64)


def urn(weights: Mapping[int, int]) -> Int64s:
    """A table in which every value stands as often as its weight says, to be drawn from by ``Draws.pick``."""
    return np.repeat(np.array(list(weights), dtype=np.int64), list(weights.values()))

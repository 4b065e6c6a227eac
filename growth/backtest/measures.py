"""Measures of a ranking of users by risk against who really left. Pure functions over arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tenth:
    """A tenth of the users, by risk: how many, their mean score, and the share that left."""

    user_count: int
    mean_score: float
    churn_rate: float


def auc(scores: Floats, churned: Bools) -> float:
    """The chance that one who left has a higher score than one who stayed; equal scores count half.

    Raises:
        ValueError: nobody left, or nobody stayed.
    """
    left, stayed = int(churned.sum()), int((~churned).sum())
    if not left or not stayed:
        raise ValueError("nobody left, or nobody stayed: there is nothing to tell apart")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[churned].sum() - left * (left + 1) / 2) / (left * stayed))


def top_decile_lift(scores: Floats, churned: Bools) -> float:
    """Churn among the tenth with the highest scores (rounded up), as a multiple of everyone's.

    Of users who share the lowest score of the tenth it takes as many as it has room for, with their average.
    """
    size = -(-len(scores) // 10)
    threshold = np.sort(scores)[-size]
    above, at = scores > threshold, scores == threshold
    found = churned[above].sum() + (size - above.sum()) * churned[at].mean()
    return float(found / size / churned.mean())


def calibration(scores: Floats, churned: Bools) -> list[Tenth]:
    """Users in tenths by their score, the lowest first; few users make fewer parts."""
    parts = np.array_split(np.argsort(scores, kind="stable"), min(10, len(scores)))
    return [Tenth(len(part), float(scores[part].mean()), float(churned[part].mean())) for part in parts]


def roc(scores: Floats, churned: Bools) -> tuple[Floats, Floats]:
    """For every threshold, the highest first: the shares found of those who stayed, and of those who left."""
    _, place = np.unique(-scores, return_inverse=True)
    stayed = np.cumsum(np.bincount(place, weights=~churned)) / (~churned).sum()
    left = np.cumsum(np.bincount(place, weights=churned)) / churned.sum()
    return np.concatenate([[0.0], stayed]), np.concatenate([[0.0], left])

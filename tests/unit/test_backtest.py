"""Measures of a ranking against brute force; what the back-test says and draws."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth.backtest import churn, measures

USERS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2).filter(
    lambda users: {left for _, left in users} == {True, False}
)


def arrays(users: list[tuple[int, bool]]) -> tuple[measures.Floats, measures.Bools]:
    return np.array([score for score, _ in users], dtype=np.float64), np.array([left for _, left in users])


@given(USERS)
def test_auc_is_the_share_of_pairs_in_order_and_the_area_below_the_curve(users: list[tuple[int, bool]]) -> None:
    scores, churned = arrays(users)
    pairs = [(a > b) + (a == b) / 2 for a in scores[churned] for b in scores[~churned]]
    assert measures.auc(scores, churned) == pytest.approx(sum(pairs) / len(pairs))
    stayed, left = measures.roc(scores, churned)
    assert (stayed[0], left[0], stayed[-1], left[-1]) == (0, 0, 1, pytest.approx(1))
    assert np.sum(np.diff(stayed) * (left[1:] + left[:-1]) / 2) == pytest.approx(measures.auc(scores, churned))


def test_the_curve_of_many_users_with_scores_of_their_own_fits_into_memory() -> None:
    scores = np.arange(300_000, dtype=np.float64)
    stayed, left = measures.roc(scores, scores >= 150_000)
    assert len(stayed) == len(left) == 300_001


def test_a_ranking_needs_both_kinds_of_users() -> None:
    with pytest.raises(ValueError, match="nobody left"):
        measures.auc(np.array([1.0, 2.0]), np.array([True, True]))


def test_the_top_tenth_is_rounded_up_and_shares_equal_scores() -> None:
    # of 11 users two are the top tenth: the one with 3, and half of the two with 2, of whom one left
    scores, churned = arrays([(3, True), (2, True), (2, False), *([(1, False)] * 8)])
    assert measures.top_decile_lift(scores, churned) == pytest.approx((1 + 0.5) / 2 / (2 / 11))


def test_tenths_hold_everyone_once_the_lowest_first() -> None:
    scores, churned = arrays([(number, number >= 20) for number in range(25)])
    tenths = measures.calibration(scores, churned)
    assert [tenth.user_count for tenth in tenths] == [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]
    assert tenths[0] == measures.Tenth(3, 1.0, 0.0)
    assert tenths[-1] == measures.Tenth(2, 23.5, 1.0)
    assert len(measures.calibration(scores[:4], churned[:4])) == 4


def user(score: float, *, recency: int, has_churned: bool) -> dict[str, Any]:
    return {
        "churn_risk_score": score,
        "recency_days": recency,
        "frequency_28d": 28 - recency if recency < 28 else 0,
        "active_day_count": 5,
        "tenure_days": 60,
        "is_churned": has_churned,
    }


def test_users_of_the_last_28_days_are_compared_and_both_kinds_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(churn, "has_reference", lambda: False)
    users = [user(number / 20, recency=number, has_churned=number > 12) for number in range(20)]
    day = date(2024, 2, 1)
    found = churn.population(day, "all", [*users, user(0.99, recency=40, has_churned=True)])
    assert (len(found.churned), found.churned.sum()) == (20, 7)
    text = churn.describe(found)
    assert "20 users of all active in the 28 days up to 2024-02-01; 35.0% of them" in text
    assert "churn_risk_score | 1.000" in text
    assert churn.plot(found, tmp_path / "new" / "churn.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(churn.BacktestImpossible, match="Of 13 users of all active before 2024-02-01, 0 left"):
        churn.population(day, "all", users[:13])

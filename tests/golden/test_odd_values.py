"""Values that are odd, but load: none of them may show in a mart as something else than it is."""

from __future__ import annotations

import pytest
from support.pipeline import Pipeline

EVENT = "2024-01-05 10:00:00,u,miles_earned,flight,{},ios,,FR"


@pytest.mark.parametrize("amounts", [("100", "100.0"), ("100.0", "100")])
def test_of_two_spellings_of_an_amount_the_order_of_files_shows_in_no_mart(
    pipeline: Pipeline, amounts: tuple[str, str]
) -> None:
    for amount in amounts:
        pipeline.land("events", f"{amounts.index(amount)}.csv", [EVENT.format(amount)])
    pipeline.run()
    shown = "select amount_total::text from mart.user_lifetimes union select miles_amount::text from dwh.fct_events"
    assert pipeline.query(shown) == [("100",)]

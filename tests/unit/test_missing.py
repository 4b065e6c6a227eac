"""A test that cannot run on a machine fails in CI, where nobody reads what was skipped."""

from __future__ import annotations

import pytest
from support.missing import missing


@pytest.mark.parametrize(
    ("value", "ended"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception), (None, pytest.skip.Exception)]
)
def test_what_is_missing_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, value: str | None, ended: type[BaseException]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    if value is not None:
        monkeypatch.setenv("CI", value)
    with pytest.raises(ended, match="no such disk"):
        missing("no such disk")

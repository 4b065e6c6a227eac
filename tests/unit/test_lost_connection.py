"""A dbt command that only lost its connection is worth another try; any other failure is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from dbt_common.exceptions import DbtDatabaseError

from growth import elementary_hooks
from growth.dbt import DbtResult, NodeFailure


@pytest.mark.parametrize(
    "message",
    [
        'could not translate host name "warehouse" to address: Name or service not known',
        "SSL SYSCALL error: EOF detected",
        "SSL connection has been closed unexpectedly",
        "could not receive data from server: Connection reset by peer",
        'connection to server at "10.0.0.1", port 5432 failed: timeout expired',
        'connection to server at "10.0.0.1", port 5432 failed: No route to host',
    ],
)
def test_every_way_to_lose_a_connection_is_known(message: str) -> None:
    assert DbtResult(False, 0, (), message).lost_connection
    failures = (NodeFailure("fct_sessions", "error", f"Database Error\n  {message}", None, ""),)
    assert DbtResult(False, 1, failures, "").lost_connection
    others = (*failures, NodeFailure("dim_users", "error", "canceling statement due to lock timeout", None, ""))
    assert not DbtResult(False, 2, others, "").lost_connection


def test_a_hook_of_elementary_may_fail_but_not_hide_that_the_connection_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook = SimpleNamespace(package_name=elementary_hooks.PACKAGE, name="elementary-on-run-end-0")

    def failing(message: str) -> Any:
        def get_hook_sql(*_: Any) -> str:
            raise DbtDatabaseError(message)

        return elementary_hooks._letting_fail(get_hook_sql)

    assert failing("permission denied for table dbt_run_results")(None, None, hook) == ""
    assert "elementary-on-run-end-0 failed, and the command goes on" in caplog.text
    with pytest.raises(DbtDatabaseError, match="server closed the connection"):
        failing("server closed the connection unexpectedly")(None, None, hook)
    own = SimpleNamespace(package_name="growth", name="growth-on-run-end-0")
    with pytest.raises(DbtDatabaseError, match="permission denied"):
        failing("permission denied for table _batches")(None, None, own)

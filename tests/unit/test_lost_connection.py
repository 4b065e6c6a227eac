"""A dbt command that only lost its connection is worth another try; any other failure is not."""

from __future__ import annotations

import pytest

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

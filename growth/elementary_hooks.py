"""What Elementary does before and after a dbt command may fail; neither the command nor our own hooks go with it.

dbt skips all hooks after one that fails, and ends the command with an error where one cannot be rendered, though every
model was built and every test passed. Elementary's hooks do their work while they are rendered.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from growth.lost_connection import is_lost_connection

log = logging.getLogger(__name__)

PACKAGE = "elementary"
WITHOUT_IT = "%s failed, and the command goes on: Elementary's report lacks what it would have written down. %s"


def let_elementary_fail() -> None:
    """Let dbt go on where a hook of Elementary fails, from now on, in this process."""
    from dbt.task.run import RunTask

    if not hasattr(RunTask.get_hook_sql, "lets_fail"):
        RunTask.get_hook_sql = _letting_fail(RunTask.get_hook_sql)


def _letting_fail(get_hook_sql: Any) -> Any:
    from dbt.artifacts.schemas.results import RunStatus
    from dbt.task.run import get_execution_status
    from dbt_common.exceptions import DbtBaseException, DbtDatabaseError

    @functools.wraps(get_hook_sql)
    def get(self: Any, adapter: Any, hook: Any, *args: Any) -> str:
        if hook.package_name != PACKAGE:
            return str(get_hook_sql(self, adapter, hook, *args))
        try:
            status, message = get_execution_status(get_hook_sql(self, adapter, hook, *args), adapter)
        except DbtBaseException as error:
            if is_lost_connection(str(error)):  # what follows would fail on it, too, and say less
                raise
            status, message = RunStatus.Error, str(error)
        if status != RunStatus.Success:
            if is_lost_connection(message):
                raise DbtDatabaseError(message)
            log.warning(WITHOUT_IT, hook.name, message)
        return ""  # nothing is left for dbt to execute

    get.lets_fail = True  # type: ignore[attr-defined]
    return get

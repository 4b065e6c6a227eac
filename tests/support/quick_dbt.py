"""dbt without work that nobody sees, for tests that run hundreds of its commands in one process: a quarter of its time.

What it builds, returns and prints stays the same. Commands of other processes, Airflow's and those of Docker run dbt
as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import agate
from dbt.clients.jinja import MacroGenerator
from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
from dbt_common.clients import agate_helper
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager

_make_type_tester = agate_helper.build_type_tester
_fire_event = EventManager.fire_event


def quicken() -> None:
    """Let dbt of this process do without."""
    EventManager.fire_event = fire_event
    MacroNamespaceBuilder.add_macros = add_macros
    MacroNamespace.__getitem__ = lambda self, name: members(self)[name]
    MacroNamespace.__iter__ = lambda self: iter(members(self))
    agate_helper.build_type_tester = build_type_tester


def fire_event(
    self: Any, e: Any, level: Any = None, node: Any = None, force_warn_or_error_handling: bool = False
) -> None:
    """Make no message of an event that no log takes."""
    if (level or e.level_tag()) == EventLevel.DEBUG and all(each.level != EventLevel.DEBUG for each in self.loggers):
        return
    _fire_event(self, e, level, node, force_warn_or_error_handling)


def add_macros(self: Any, macros: Iterable[Any], ctx: Any) -> None:
    """As dbt does, for each of some four contexts a model, of all 700 macros."""
    for macro in macros:
        generator = MacroGenerator.__new__(MacroGenerator)
        vars(generator).update(macro=macro, context=ctx, node=self.node, stack=self.thread_ctx)
        is_internal = macro.package_name in self.internal_package_names
        packages = self.internal_packages if is_internal else self.packages
        packages.setdefault(macro.package_name, {})[macro.name] = generator
        if not is_internal and macro.package_name == self.search_package:
            self.locals[macro.name] = generator
        elif not is_internal and macro.package_name == self.root_package:
            self.globals[macro.name] = generator


def members(namespace: Any) -> dict[str, Any]:
    """All names of a namespace in one dictionary: dbt looks for each in five."""
    found = vars(namespace).get("members")
    if found is None:
        found = {}
        for each in reversed(list(namespace._search_order())):
            found.update(each)
        namespace.members = found
    return found


@functools.cache
def types(null_values: tuple[str, ...]) -> list[Any]:
    """Made once: dbt makes them for each statement, some with a hundred regular expressions."""
    return list(_make_type_tester((), null_values)._possible_types)


def build_type_tester(text_columns: Iterable[str], string_null_values: Iterable[str] | None = ("null", "")) -> Any:
    text = agate.data_types.Text(null_values=string_null_values)
    return agate.TypeTester(force=dict.fromkeys(text_columns, text), types=types(tuple(string_null_values or ())))

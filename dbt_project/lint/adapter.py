"""What sqlfluff sees of dbt's ``adapter``: a dispatched macro is linted as a function call of its name."""

from collections.abc import Callable


def dispatch(name: str) -> Callable[..., str]:
    """Stand in for the adapter's own macro: the SQL inside macros is not linted."""

    def call(*arguments: object) -> str:
        flat = [part for argument in arguments for part in (argument if isinstance(argument, list) else [argument])]
        return f"{name}({', '.join(map(str, flat))})"

    return call

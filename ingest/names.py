"""Names that somebody gives: of feeds, domains and the like."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def unknown_names(kind: str, given: Iterable[str], known: Collection[str]) -> str:
    """What to say of names that nothing has, such as ``unknown feed: x; there are: a, b``; empty where all are known.

    Args:
        kind: of what they are names.
        given: the names.
        known: those that there are, in the order in which to list them.
    """
    unknown = sorted(set(given) - set(known))
    return f"unknown {kind}: {', '.join(unknown)}; there are: {', '.join(known)}" if unknown else ""

"""How a time looks that is written by a template of Postgres' ``to_timestamp``.

The function itself makes dates up: it takes 1 for a part that is missing, January for month 0 and the year 24 for 24,
and leaves out what follows the last part.
"""

from __future__ import annotations

import re
from itertools import pairwise

# Parts that are digits, and those that are not, with patterns of the server's.
_FRACTIONS = ("MS", "US", *(f"FF{digits}" for digits in range(1, 7)))
_FROM_ONE = r"0*[1-9]\d*"
_NUMBERS = {
    **{year: rf"\d{{{len(year)}}}" for year in ("YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "I")},
    **dict.fromkeys(("YY", "IY"), r"(?:\d{2}|\d{4})"),  # the server takes all digits that there are
    "MM": "(?:0?[1-9]|1[0-2])",
    "DD": r"(?:0?[1-9]|[12]\d|3[01])",
    **dict.fromkeys(("HH24", "HH12", "HH", "MI", "SS", "TZM"), r"\d{1,2}"),
    **dict.fromkeys(("DDD", "IDDD", "WW", "IW", "W", "ID", "D", "Q", "J", "CC"), _FROM_ONE),
    **dict.fromkeys(("SSSSS", "SSSS", *_FRACTIONS), r"\d+"),
}
# Only their width tells these from digits beside them.
_SIDE_BY_SIDE = {
    **{"MM": "(?:0[1-9]|1[0-2])", "DD": r"(?:0[1-9]|[12]\d|3[01])", "YY": r"\d{2}", "IY": r"\d{2}"},
    **dict.fromkeys(("HH24", "HH12", "HH", "MI", "SS", "TZM"), r"\d{2}"),
}
_NUMERIC_OFFSET = r"[-+]?\d{1,2}(?::?\d{2})?"
# The server reads UTC+2 as TZ by its letters alone, and leaves the rest out.
_WORDS = {
    "Y,YYY": r"\d,\d{3}",
    **dict.fromkeys(("MONTH", "MON", "DAY", "DY", "RM"), r"[[:alpha:]]+\.?"),
    **dict.fromkeys(("AM", "PM", "AD", "BC", "A.M.", "P.M.", "A.D.", "B.C."), r"[[:alpha:]]\.?[[:alpha:]]\.?"),
    **{"TZH": r"[-+]?\d{1,2}", "OF": _NUMERIC_OFFSET, "TZ": rf"(?:[[:alpha:]]+|{_NUMERIC_OFFSET})"},
}
_PIECE = re.compile(
    r'"(?P<quoted>(?:[^"\\]|\\.)*)"?'
    r"|(?:FM|TM|FX)"
    rf"|(?P<part>{'|'.join(map(re.escape, sorted([*_NUMBERS, *_WORDS], key=len, reverse=True)))})(?P<ordinal>TH)?"
    r"|(?P<between>(?:[^\w\"\\]|_)+)"
    r"|\\?(?P<letter>.)",
    re.IGNORECASE | re.DOTALL,
)
_BETWEEN = "[^[:alnum:]]"


def template_pattern(template: str) -> str:
    """A regular expression of the server's, whatever the case, for texts that have every part of a template.

    Months and days begin with 1, and years have as many digits as the template. What ``to_timestamp`` reads right all
    the same is free: how parts are kept apart, a letter between them, four digits for ``YY``, no fraction of a second.
    """
    pieces = [piece for piece in _PIECE.finditer(template) if any(piece.groupdict().values())]
    texts = [_text(piece) for piece in pieces]
    for place, (one, next_one) in enumerate(pairwise(pieces)):
        if _is_number(one) and _is_number(next_one):
            for neighbour in (place, place + 1):
                part = pieces[neighbour]["part"].upper()
                texts[neighbour] = _SIDE_BY_SIDE.get(part, _NUMBERS[part])
        elif not (one["between"] or next_one["between"]):
            texts[place] += "[[:space:]]*"
    for before, piece, after in zip(pieces, range(1, len(pieces)), pieces[2:], strict=False):
        if pieces[piece]["between"] and _is_number(before) and _is_number(after):
            texts[piece] = f"{_BETWEEN}+"
    for place, one in enumerate(pieces):
        if (one["part"] or "").upper() in _FRACTIONS and place and pieces[place - 1]["between"]:
            texts[place - 1], texts[place] = f"(?:{texts[place - 1]}", f"{texts[place]})?"
    if pieces and pieces[-1]["quoted"]:
        texts[-1] = f"(?:{texts[-1]})?"
    return f"^[[:space:]]*{''.join(texts)}[[:space:]]*$"


def _text(piece: re.Match[str]) -> str:
    if piece["between"]:
        return f"{_BETWEEN}*"
    if piece["part"]:
        part = piece["part"].upper()
        ordinal = "(?:[[:alpha:]]{2})?" if piece["ordinal"] else ""
        return (_NUMBERS.get(part) or _WORDS[part]) + ordinal
    if piece["quoted"] and len(piece["quoted"]) == 1 and piece["quoted"].isalpha():
        return "[^[:digit:]]"
    return re.escape(re.sub(r"\\(.)", r"\1", piece["quoted"] or piece["letter"]))


def _is_number(piece: re.Match[str]) -> bool:
    return bool(piece["part"]) and piece["part"].upper() in _NUMBERS

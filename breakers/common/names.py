"""The rule for names of services, instances and breakers: one for agents and dashboard alike.

A name that is accepted can be shown, put into an address, and operated. Refused are characters
that are invisible or change the direction of text, line breaks, every space but U+0020, spaces at
either end, and the path segments `.` and `..`.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LENGTH: Final = 120

# Literal characters, not escapes: the same pattern is published for agents in other languages.
# Surrogates are missing because they cannot be encoded; `problem` refuses them.
_UNFIT: Final = (
    "\x00-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u2800\u3000\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
# `$` also matches before a final line break in Python, hence the last lookahead.
PATTERN: Final = rf"^(?!\.\.?$)(?! )[^{_UNFIT}]*[^{_UNFIT} ]$(?!\n)"
ALLOWED: Final = (
    f"1 to {MAX_LENGTH} visible characters, spaces inside allowed, and neither '.' nor '..'"
)
_matches: Final = re.compile(PATTERN).search
_unfit: Final = re.compile(f"[{_UNFIT}]").search


def is_name(text: str) -> bool:
    """Whether a text may be a name.

    >>> is_name("profile-api"), is_name("orders/EU 1"), is_name("größe"), is_name("支付")
    (True, True, True, True)
    >>> [is_name(each) for each in ("", "..", "a\\n", " a", "a\\u200db", "a\\u00a0b", "\\ud800")]
    [False, False, False, False, False, False, False]
    """
    if not 0 < len(text) <= MAX_LENGTH or _matches(text) is None:
        return False
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def problem(text: object) -> str:
    """Why a text is not a name, in words that name the fault; empty if it is one.

    >>> problem("a\\u202eb")
    "it holds U+202E at position 2; a name has 1 to 120 visible characters, spaces inside allowed, \
and neither '.' nor '..'"
    """
    if isinstance(text, str) and is_name(text):
        return ""
    return f"{_fault(text)}; a name has {ALLOWED}"


def _fault(text: object) -> str:
    if not isinstance(text, str):
        return f"it is of type {type(text).__name__}"
    if not text:
        return "it is empty"
    if len(text) > MAX_LENGTH:
        return f"it has {len(text)} characters"
    found = _unfit(text) or re.search("[\ud800-\udfff]", text)
    if found is not None:
        return f"it holds U+{ord(found[0]):04X} at position {found.start() + 1}"
    return "it begins or ends with a space" if text.strip() != text else f"it is {text!r}"

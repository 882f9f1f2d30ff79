"""Offer what somebody may have meant by a name that there is not."""

import difflib
from collections.abc import Iterable
from typing import Any


def did_you_mean(found: Any, names: Iterable[str]) -> str:
    """Give ``; did you mean 'a' or 'b'?``, or '' where nothing is near.

    Args:
        found: what was given instead of a name.
        names: those that there are.
    """
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(found).lower(), lower, 2, 0.5)
    if not near:
        return ''
    return f'; did you mean {" or ".join(repr(lower[n]) for n in near)}?'

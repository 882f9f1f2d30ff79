"""What a layout is: a name to know it by, and a way to rename it."""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """The names that some code gives to the weights of a backbone.

    Args:
        title: what reports and errors call it.
        anchors: names, without any prefix, of which every file of this
            layout has one; where it stands tells the prefix.
        rename: turns the weights under that prefix and the names of the
            member into weights under the member's names; names that it does
            not know stay as they are.  None: it is another layout after all.
    """

    title: str
    anchors: tuple[str, ...]
    rename: Callable[[Weights, Set[str]], Weights | None]


def substituted(weights: Weights, rules: Sequence[tuple[str, str]]) -> Weights:
    """Rename by regular expressions; the first that matches counts."""
    compiled = [(re.compile(pattern), to) for pattern, to in rules]
    renamed = {}
    for name, value in weights.items():
        for pattern, to in compiled:
            name, found = pattern.subn(to, name)
            if found:
                break
        renamed[name] = value
    return renamed

"""The description of a layout, and renaming by rules."""

import re
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass

from torch import Tensor

Weights = dict[str, Tensor]
#: turns weights, given the member's names, into weights under these names
Rename = Callable[[Weights, Set[str]], Weights | None]
#: pairs of a regular expression and its replacement
Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]


@dataclass(frozen=True)
class Layout:
    """The names that some code gives to the weights of a backbone.

    Attributes:
        title: the name of the layout in reports and errors.
        anchors: names without any prefix; every file of this layout has one
            of them, and its place in the file gives the prefix.
        rename: turns the weights under that prefix, given the names of the
            member, into weights under the member's names.  It leaves
            unknown names unchanged, and returns None if the weights have
            another layout after all.
        one_to_one: whether it only gives other names, so that a file with
            two names for one entry has another layout.
    """

    title: str
    anchors: Collection[str]
    rename: Rename
    one_to_one: bool = True


def renamed(weights: Weights, *groups: Rules) -> Weights:
    """Rename weights by regular expressions.

    The first rule of a group that matches a name is applied; the next group
    continues with the result.
    """
    result = {}
    for name, value in weights.items():
        for rules in groups:
            for pattern, to in rules:
                name, found = re.subn(pattern, to, name)
                if found:
                    break
        result[name] = value
    return result


def by_rules(*groups: Rules) -> Rename:
    """Make the ``rename`` of a layout from rules, see ``renamed``."""
    return lambda weights, names: renamed(weights, *groups)

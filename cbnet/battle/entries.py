"""What takes part in a battle: backbones and composites, by short texts.

The grammar, where ``[...]`` may be left out::

    entry   = [Kx] members [, key=value ...]
    members = member [+ member ...]            the last one leads
    member  = [frozen:|random:]NAME[(key=value, ...)][@SCALE][=WEIGHTS]

Quotes around a name or a file keep commas in it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from ..arguments import check_settings
from ..errors import UserValueError
from ..messages import did_you_mean, listed, shortened
from ..models.backbones.checks import MOST_MEMBERS
from ..models.backbones.connections import Style
from ..models.options import Weight
from .presets import EQUAL_COST, PRESETS
from .text_parts import split
from .text_values import (
    given_once,
    read_arguments,
    read_options,
    read_value,
    unquoted,
)

_ENTRY = re.compile(r'(?:(\d+)x\s+)?(.+)', re.S)
_MEMBER = re.compile(
    r'(?:(?P<start>frozen|random|tuned):)?'
    # Only the path of a config may hold spaces.
    r'(?P<name>(?:[^\s:()@=]|::)(?:[^:()@=]|::)*\.py|(?:[^\s:()@=]|::)+)'
    r'(?P<arguments>\(.*\))?'
    r'(?:@(?P<scale>[^=]+))?'
    r'(?:=(?P<weights>.+))?'
)
#: what a text of an entry may look like, for errors
EXAMPLES = (
    '`resnet50`, `2x resnet50, style=slc`, `frozen:vit_small_patch16_dinov3 '
    '+ resnet18`, `frozen:convnext_tiny@0.5 + convnext_tiny`, '
    '`random:resnet18`, `ResNet(depth=50)=weights.pth`'
)


@dataclass(frozen=True)
class MemberText:
    """One member of an entry, as the user named it.

    Attributes:
        name: a preset, a model of timm, a backbone of mmdet's registry or a
            config file.
        start: ``tuned``, ``frozen`` or ``random``, which is tuned from
            random weights.
        scale: the factor by which its images are resized.
        weights: its file of weights; None stands for its own.
        arguments: arguments of the backbone, beside its name.
    """

    name: str
    start: Literal['tuned', 'frozen', 'random'] = 'tuned'
    scale: Annotated[float, Gt(0), Le(8)] | None = None
    weights: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spelt(self) -> str:
        """What comes before ``=WEIGHTS`` in its text, but for its start."""
        given = ', '.join(f'{k}={v!r}' for k, v in self.arguments.items())
        scale = '' if self.scale is None else f'@{self.scale:g}'
        return self.name + (f'({given})' if given else '') + scale


@dataclass(frozen=True)
class EntryOptions:
    """How the members of an entry are joined.

    Attributes:
        name: what tables call the entry; its text by default.
        style: the style of the connections.
        assistance: the weight of each assistant's losses, or one for all;
            None stands for the published ones.
        proposals: whose proposals the assistants' losses see; None stands
            for the default of ``AssistedDetector``.
        shared_stages: the number of shared stages, or None; ``'published'``
            stands for the published number where all members are equal, and
            for None elsewhere.
    """

    name: str | None = None
    style: Style = 'dhlc'
    assistance: Weight | list[Weight] | None = None
    proposals: Literal['lead', 'own'] | None = None
    shared_stages: Annotated[int, Ge(0)] | Literal['published'] | None = (
        'published'
    )


@dataclass(frozen=True)
class Entry:
    """One entry of a battle.

    Attributes:
        name: what tables call it.
        members: its members, the lead last.
        options: how they are joined.
        changes: overrides of its config, as of ``--cfg-options``.
    """

    name: str
    members: tuple[MemberText, ...]
    options: EntryOptions = EntryOptions()
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The name of the folder of its runs."""
        return re.sub(r'[^\w.@+=:-]+', '_', self.name).strip('_')

    @property
    def title(self) -> str:
        """The option and the name, as errors begin."""
        return f'--entries {shortened(self.name, 100)!r}'

    @property
    def composite(self) -> bool:
        """Whether it has several members."""
        return len(self.members) > 1


def read_entry(text: str, beside: Mapping[str, Any] | None = None) -> Entry:
    """Read the text of an entry.

    Args:
        text: the text.
        beside: more of the ``EntryOptions``, which stand beside the text.

    Raises:
        ValueError: the text is no entry; says what is wrong with it.
    """
    text = ' '.join(text.split())
    title = f'--entries {shortened(text, 200)!r}'
    first, *rest = split(text, ',', title)
    pairs = [*read_options(rest, title), *(beside or {}).items()]
    given = given_once(pairs, title)
    check_settings(title, EntryOptions, given)
    options = EntryOptions(**given)
    found = _ENTRY.fullmatch(first.strip())
    if not found:
        raise UserValueError(f'{title} is empty; expected {EXAMPLES}')
    count = (found[1] or '1').lstrip('0') or '0'
    # The length first: Python reads no number of thousands of digits.
    if len(count) > 9 or not 1 <= int(count) <= MOST_MEMBERS:
        raise UserValueError(
            f'{title} asks for {shortened(count, 20)} members, expected 1 to '
            f'{MOST_MEMBERS}'
        )
    parts = split(found[2], ' + ', title)
    if int(count) > 1 and len(parts) > 1:
        raise UserValueError(
            f'{title} multiplies and adds; write every member out, such as '
            f'`A + A + B`'
        )
    members = tuple(_member(part.strip(), title) for part in parts)
    members *= int(count)
    _check_single(members, given, title)
    lead = members[-1]
    if lead.scale is not None:
        raise UserValueError(
            f'{title} resizes the images of its lead, whose maps the detector '
            f'reads; give the scale to an assistant, or to all with --scale'
        )
    if len(members) > 1 and lead.start == 'frozen':
        raise UserValueError(
            f'{title} freezes its lead, so that the assistants would have '
            f'nothing to teach; freeze assistants, or a single'
        )
    name = text if options.name is None else options.name
    return Entry(name, members, options)


def _check_single(
    members: Collection[MemberText], given: Iterable[str], title: str
) -> None:
    """Refuse options that would change nothing of a single but its name."""
    idle = [key for key in given if key != 'name']
    if len(members) == 1 and idle:
        raise UserValueError(
            f'{title} has one member, and some options are those of '
            f'composites: {listed(idle)}; leave these out, or name several '
            f'members, such as `2x resnet50`'
        )


def _member(text: str, title: str) -> MemberText:
    found = _MEMBER.fullmatch(text)
    name = found['name'] if found else text[: len(EQUAL_COST)]
    if name in (*PRESETS, EQUAL_COST):
        raise UserValueError(
            f'{title}: {name} is a preset, which stands for several entries; '
            f'name it alone, without options, weights or others'
        )
    if not found:
        start, colon, _ = text.partition(':')
        known = [f'{one}:' for one in ('frozen', 'random')] + [EQUAL_COST]
        near = did_you_mean(start + colon, known) if colon else ''
        raise UserValueError(
            f'{title}: {text!r} is no member; expected entries such as '
            f'{EXAMPLES}{near}'
        )
    given = {k: v for k, v in found.groupdict().items() if v is not None}
    if 'scale' in given:
        given['scale'] = read_value(given['scale'])
    if 'weights' in given:
        given['weights'] = unquoted(given['weights'])
    if 'arguments' in given:
        place = f'{title}: {shortened(text)}'
        given['arguments'] = read_arguments(given['arguments'], place)
    check_settings(f'{title}: {found["name"]}', MemberText, given)
    member = MemberText(**given)
    if member.start == 'random' and member.weights:
        raise UserValueError(
            f'{title}: {text!r} starts at random and from a file; leave one '
            f'of them out'
        )
    return member

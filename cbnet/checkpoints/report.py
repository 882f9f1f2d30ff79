"""The account of a load: where every tensor of the file and model went."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mmengine.logging import print_log
from torch import Tensor

from ..messages import counted, listed
from .fit import NEEDLESS, compare


@dataclass(frozen=True)
class LoadReport:
    """The names of all tensors of a file and of the model that loads it.

    Every tensor of the file is in exactly one of ``loaded``, ``unfit``,
    ``shared``, ``ignored`` and ``outside``; every tensor of the model is in
    exactly one of ``loaded``, ``unfit``, ``new`` and ``kept``.  The model's
    names are used.  ``renamed``, ``resized`` and ``cast`` are parts of
    ``loaded``.

    Attributes:
        source: the name of the file.
        loaded: the names of the tensors that come from the file.
        renamed: the loaded names that differ from those in the file.
        resized: the loaded names whose weights were resized.
        cast: the loaded names whose data type differs from the model's,
            with a text such as ``'float16 to float32'``.
        shared: the names in the file that belong to stages of another
            member.
        new: the model's names that the file lacks; these weights keep their
            initial values.
        ignored: the names in the file that the model has no use for.
        unfit: the names that both have in different shapes, with a text
            such as ``'(3, 2) instead of (2, 3)'``; they are not loaded.
        kept: the model's names that need no file, because the model counts
            or computes their values.
        outside: the number of tensors elsewhere in the file.
        path: the place of the weights in the file, such as
            ``'state_dict.'``.
        layout: the title of the layout that the weights have in the file.
        licence: the licence and the origin of the file, if they are known,
            such as ``'licence apache-2.0, from timm/resnet50.a1_in1k'``.
    """

    source: str
    loaded: tuple[str, ...]
    renamed: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    cast: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    outside: int = 0
    path: str = ''
    layout: str = ''
    licence: str = ''

    def __str__(self) -> str:
        """Describe everything in one line."""
        licence = f' ({self.licence})' if self.licence else ''
        where = f' under {self.path!r}' if self.path else ''
        whose = f' ({self.layout})' if self.renamed else ''
        line = (
            f'loaded {len(self.loaded)} entries of {self.source}{licence}'
            f'{where}; '
            f'renamed {len(self.renamed)}{whose}; '
            f'resized {counted(self.resized)}; shared {len(self.shared)}; '
            f'new {counted(self.new)}; ignored {counted(self.ignored)}'
        )
        for title, texts in (
            ('not loaded, of another shape', self.unfit),
            ('converted to another data type', self.cast),
        ):
            if texts:
                shown = (f'{name} {text}' for name, text in texts.items())
                line += f'; {title} {len(texts)} ({listed(shown, 3)})'
        if self.kept:
            line += f"; the model's own {len(self.kept)}"
        if self.outside:
            line += f'; elsewhere in the file {self.outside}'
        return line

    def log(self, title: str = '') -> None:
        """Log the line; a conversion of data types makes it a warning."""
        level = logging.WARNING if self.cast else logging.INFO
        print_log(f'{title}{self}', 'current', level)


def account(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str
) -> LoadReport:
    """Account for weights that a model loads under their own names.

    Args:
        weights: the weights of the file.
        own: the state dict of the model; meta tensors suffice.
        source: the name of the file.
    """
    found = compare(weights, own)
    return LoadReport(
        source,
        loaded=found.matching,
        cast=conversions(found.matching, weights, own),
        new=tuple(n for n in found.missing if not NEEDLESS.search(n)),
        ignored=found.surplus,
        unfit=found.differing,
        kept=tuple(n for n in found.missing if NEEDLESS.search(n)),
    )


def conversions(
    names: Iterable[str],
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
) -> dict[str, str]:
    """Tell which weights get another data type when a model loads them."""
    pairs = {name: (weights[name].dtype, own[name].dtype) for name in names}
    return {
        name: ' to '.join(str(t).removeprefix('torch.') for t in pair)
        for name, pair in pairs.items()
        if len({*pair}) > 1
    }

"""Compare weights with the expected ones and describe all differences."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UserValueError
from ..messages import counted, listed

#: Entries that no model needs from a file.  A Swin computes its indices and
#: masks, norms with a momentum do not use their counters, which files from
#: before torch 0.4.1 lack, and the rest are the counters of profilers.
NEEDLESS = re.compile(
    r'(^|\.)(relative_position_index|attn_mask|num_batches_tracked|total_ops'
    r'|total_params)$'
)


@dataclass(frozen=True)
class Comparison:
    """The differences between the weights of a file and the expected ones.

    Attributes:
        matching: the names of weights that both have in the same shape.
        missing: the expected names that the file lacks.
        surplus: the names in the file that are not expected.
        differing: the names that both have in different shapes, with a text
            such as ``'(3, 2) instead of (2, 3)'``, the file's shape first.
        aspect: the property that was compared, ``'shape'`` or ``'shape or
            type'``.
    """

    matching: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    differing: Mapping[str, str]
    aspect: str

    def differences(
        self, file: str = 'the file', other: str = 'the model'
    ) -> str:
        """Describe all differences in one line, empty if there are none.

        Args:
            file: the name of the file for the text.
            other: the name of the object that expects the weights.
        """
        found = []
        if self.surplus:
            found.append(f'{other} lacks {counted(self.surplus)}')
        if self.missing:
            found.append(f'{file} lacks {counted(self.missing)}')
        if self.differing:
            shown = [f'{name} {text}' for name, text in self.differing.items()]
            differ = 'differs' if len(shown) == 1 else 'differ'
            found.append(
                f'{len(shown)} {differ} in {self.aspect} ({listed(shown, 3)})'
            )
        return '; '.join(found)


def compare(
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    types: bool = False,
) -> Comparison:
    """Compare the names and shapes of weights.

    Args:
        found: the weights of a file.
        expected: the weights that are expected; meta tensors suffice.
        types: whether to compare data types as well.
    """

    def kind(weight: Tensor) -> str:
        dtype = f' {str(weight.dtype).removeprefix("torch.")}' if types else ''
        return f'{tuple(weight.shape)}{dtype}'

    shared = [name for name in expected if name in found]
    differing = {
        name: f'{kind(found[name])} instead of {kind(expected[name])}'
        for name in shared
        if kind(found[name]) != kind(expected[name])
    }
    return Comparison(
        matching=tuple(name for name in shared if name not in differing),
        missing=tuple(name for name in expected if name not in found),
        surplus=tuple(name for name in found if name not in expected),
        differing=differing,
        aspect='shape or type' if types else 'shape',
    )


def load_strictly(
    weights: Mapping[str, Tensor],
    model: nn.Module,
    config: str,
    optional: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """Load weights that must have exactly a model's names and shapes.

    Args:
        weights: the weights, under the names of this package.
        model: the model on the meta device; it takes over the tensors.
        config: the name of the model's config, for errors.
        optional: the prefixes of names that may be missing.

    Returns:
        The weights in the order and with the data types of the model.

    Raises:
        ValueError: lists all differences.
    """
    own = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name in weights or not name.startswith(optional)
    }
    if wrong := compare(weights, own).differences():
        raise UserValueError(
            f'the weights do not fit {config}: {wrong}. Give the config of '
            f'exactly this model (its backbone, heads and classes) with '
            f'--config'
        )
    cast = {n: _as_type(weights[n], t.dtype) for n, t in own.items()}
    model.load_state_dict(cast, strict=not optional, assign=True)
    return cast


def _as_type(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast to a data type; averaging turned counters into floats."""
    if value.is_floating_point() and not dtype.is_floating_point:
        value = value.round()
    return value.to(dtype)

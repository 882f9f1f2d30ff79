"""Do these weights fit?  One comparison and one report for all callers."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UserValueError
from ..messages import counted, listed


@dataclass(frozen=True)
class Comparison:
    """The differences between the weights of a file and the expected ones.

    Attributes:
        matching: the names of weights that both have in the same shape.
        missing: the expected names that the file lacks.
        surplus: the names in the file that are not expected.
        differing: the names that both have in different shapes, with both
            shapes as text: the file's, then the expected one.
        aspect: the property that was compared, ``'shape'`` or ``'shape or
            type'``.
    """

    matching: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    differing: Mapping[str, tuple[str, str]]
    aspect: str

    def differences(
        self, file: str = 'the file', other: str = 'the model'
    ) -> str:
        """Describe all differences in one line.

        Args:
            file: the name of the file for the text.
            other: the name of the object that expects the weights.

        Returns:
            The description, or an empty string if there are no differences.
        """
        found = []
        if self.surplus:
            found.append(f'{other} lacks {counted(self.surplus)}')
        if self.missing:
            found.append(f'{file} lacks {counted(self.missing)}')
        if self.differing:
            shown = [
                f'{name} {theirs} instead of {ours}'
                for name, (theirs, ours) in self.differing.items()
            ]
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

    kinds = {
        name: (kind(found[name]), kind(weight))
        for name, weight in expected.items()
        if name in found
    }
    differing = {n: pair for n, pair in kinds.items() if pair[0] != pair[1]}
    return Comparison(
        matching=tuple(name for name in kinds if name not in differing),
        missing=tuple(name for name in expected if name not in found),
        surplus=tuple(name for name in found if name not in expected),
        differing=differing,
        aspect='shape or type' if types else 'shape',
    )


def load_strictly(
    weights: Mapping[str, Tensor],
    model: nn.Module,
    config: str,
    prefix: str = '',
    optional: str | None = None,
) -> dict[str, Tensor]:
    """Load weights that must have exactly a model's names and shapes.

    Args:
        weights: the weights, under the names of this package.
        model: the model on the meta device; it takes over the tensors.
        config: the name of the model's config, for errors.
        prefix: the prefix of the weights' names that the model's names lack.
        optional: the prefix of names that may be missing.

    Returns:
        The weights in the order and with the data types of the model.

    Raises:
        ValueError: lists all differences.
    """
    own = {
        prefix + name: tensor
        for name, tensor in model.state_dict().items()
        if optional is None
        or prefix + name in weights
        or not (prefix + name).startswith(optional)
    }
    if wrong := compare(weights, own).differences():
        raise UserValueError(
            f'the weights do not fit {config}: {wrong}. Give the config of '
            f'exactly this model (its backbone, heads and classes) with '
            f'--config'
        )
    cast = {n: _as_type(weights[n], t.dtype) for n, t in own.items()}
    model.load_state_dict(
        {name.removeprefix(prefix): t for name, t in cast.items()},
        strict=optional is None,
        assign=True,
    )
    return cast


def _as_type(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast to a data type; averaging turned counters into floats."""
    if value.is_floating_point() and not dtype.is_floating_point:
        value = value.round()
    return value.to(dtype)

"""Count multiply-accumulates while a model runs, by module, in two ways."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any
from unittest.mock import patch

import mmcv.ops.deform_conv
import mmcv.ops.modulated_deform_conv
import torch
from mmcv.cnn.utils.flops_counter import get_modules_mapping
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import deform_conv2d

CONVOLUTIONS = 'convolutions'
DEFORMABLE = 'deformable convolutions'
LINEAR = 'linear layers'
ATTENTION = 'attention products'

_ATEN = torch.ops.aten
_KINDS = {
    _ATEN.convolution: CONVOLUTIONS,
    _ATEN._convolution: CONVOLUTIONS,
    torch.ops.torchvision.deform_conv2d: DEFORMABLE,
    _ATEN.mm: LINEAR,
    _ATEN.addmm: LINEAR,
}  # everything else that is counted multiplies batches of matrices


@dataclass
class Reading:
    """What a run took.

    Attributes:
        macs: by module name, what the module itself ran, not its children.
        published: the same by the rule of the published figures.
        kinds: ``macs`` by kind of operation.
        failed_in: name of the module in which the run ended with an error.
    """

    macs: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failed_in: str | None = None


@contextmanager
def metered(model: nn.Module) -> Iterator[Reading]:
    """Read what the model, or pieces of it, run inside the block.

    ``macs`` counts operators: a multiply-accumulate for every weight or
    matrix entry that is multiplied, in convolutions (deformable ones too),
    linear layers and products of matrices.  ``published`` is mmcv's own
    counter, which looks at layers: convolutions and linear layers with
    their biases, norms, activations, pooling, upsampling; it sees neither
    deformable convolutions nor products inside attention.

    The reading is complete after the block; after an error in it, too.

    Args:
        model: its names are those of the reading.
    """
    reading = Reading()
    counter = FlopCounterMode(
        display=False,
        custom_mapping={torch.ops.torchvision.deform_conv2d: _deform_flops},
    )
    # Modules that run now: name, total at its begin, spent in its children.
    running: list[list[Any]] = [['', 0, 0]]

    def enter(name: str, *_: Any) -> None:
        running.append([name, counter.get_total_flops(), 0])

    def leave(*_: Any) -> None:
        name, begin, inside = running.pop()
        spent = counter.get_total_flops() - begin
        # Two operations (multiply, add) make one multiply-accumulate.
        reading.macs[name] += (spent - inside) // 2
        if running:
            running[-1][2] += spent

    layers = get_modules_mapping()
    seen, handles = {}, []
    for name, module in model.named_modules():
        enter_it = partial(enter, name)
        handles.append(module.register_forward_pre_hook(enter_it))
        handles.append(module.register_forward_hook(leave))
        if type(module) in layers:
            module.__flops__ = 0
            hook = layers[type(module)]
            handles.append(module.register_forward_hook(hook))
            seen[name] = module
    try:
        with torch.no_grad(), _deformable_by_torchvision(), counter:
            yield reading
    except BaseException:
        reading.failed_in = running[-1][0]
        raise
    finally:
        while running:
            leave()
        for handle in handles:
            handle.remove()
        for name, module in seen.items():
            reading.published[name] = module.__flops__
            del module.__flops__
        for operation, flops in counter.get_flop_counts()['Global'].items():
            reading.kinds[_KINDS.get(operation, ATTENTION)] += flops // 2


def _deform_flops(
    x_shape: Any, w_shape: Any, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """Count the products with the weights; sampling is no convolution."""
    return 2 * prod(out_shape) * prod(w_shape[1:])


@contextmanager
def _deformable_by_torchvision() -> Iterator[None]:
    """Serve deformable convolutions by the operator that is counted.

    mmcv's compiled ones, where they are installed, take no meta tensors.
    """

    def plain(
        x, offset, weight, stride, padding, dilation, *_: Any
    ) -> torch.Tensor:
        return deform_conv2d(
            x, offset, weight, None, stride, padding, dilation
        )

    def modulated(
        x, offset, mask, weight, bias, stride, padding, dilation, *_: Any
    ) -> torch.Tensor:
        return deform_conv2d(
            x, offset, weight, bias, stride, padding, dilation, mask
        )

    with (
        patch.object(mmcv.ops.deform_conv, 'deform_conv2d', plain),
        patch.object(
            mmcv.ops.modulated_deform_conv,
            'modulated_deform_conv2d',
            modulated,
        ),
    ):
        yield

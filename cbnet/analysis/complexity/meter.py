"""Count multiply-accumulates while a model runs, by module, in two ways."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from mmcv.cnn.utils.flops_counter import get_modules_mapping
from mmcv.ops import deform_conv, modulated_deform_conv
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
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
}  # all other operators that are counted multiply batches of matrices


@dataclass
class Reading:
    """The multiply-accumulates of a run.

    Attributes:
        macs: the count of each module that ran, without its children, by
            the module's name.
        published: the same count by the rule of the published figures.
        kinds: ``macs`` by kind of operation.
        failed_in: the name of the module in which the run failed, if any.
    """

    macs: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failed_in: str | None = None


@contextmanager
def metered(
    model: nn.Module, names: Mapping[nn.Module, str] | None = None
) -> Iterator[Reading]:
    """Count what the model, or pieces of it, compute inside the block.

    ``macs`` counts operators: one multiply-accumulate for each product with
    an entry of a weight or matrix, in convolutions (deformable ones too),
    linear layers and matrix products. ``published`` is mmcv's own counter,
    which looks at layers: convolutions and linear layers with their biases,
    norms, activations, pooling and upsampling. It sees neither deformable
    convolutions nor the products inside attention.

    The reading is complete after the block, even after an error.

    Args:
        model: the model.
        names: the names of its modules in the reading, by default those in
            the model; modules with the same name are counted together.
    """
    # FlopCounterMode also counts by module, but names modules by class where
    # they are called piecewise, so that members cannot be told apart.
    counter = FlopCounterMode(
        display=False,
        custom_mapping={torch.ops.torchvision.deform_conv2d: _deform_flops},
    )
    names = names or {m: name for name, m in model.named_modules()}
    rules = get_modules_mapping()
    reading = Reading()
    running = [names[model]]  # the innermost module is the last one
    credited = 0  # the operations that some module is credited with

    def credit() -> None:
        """Credit the innermost module with all operations since then."""
        nonlocal credited
        total = counter.get_total_flops()
        # Two operations (multiply, add) make one multiply-accumulate.
        reading.macs[running[-1]] += (total - credited) // 2
        credited = total

    def enter(module: nn.Module, inputs: Any) -> None:
        if module in names:
            credit()
            running.append(names[module])

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        if module in names:
            credit()
            name = running.pop()
            if type(module) in rules:
                module.__flops__ = 0
                rules[type(module)](module, inputs, output)
                reading.published[name] += module.__flops__
                del module.__flops__

    try:
        with (
            register_module_forward_pre_hook(enter),
            register_module_forward_hook(leave),
            torch.no_grad(),
            _countable_deformable(),
            counter,
        ):
            yield reading
    except BaseException:
        reading.failed_in = running[-1]
        raise
    finally:
        while running:
            credit()
            running.pop()
        for operation, flops in counter.get_flop_counts()['Global'].items():
            reading.kinds[_KINDS.get(operation, ATTENTION)] += flops // 2


def _deform_flops(
    x_shape: Any, w_shape: Any, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """Count the products with the weights; sampling is no convolution."""
    return 2 * prod(out_shape) * prod(w_shape[1:])


def _plain(x, offset, weight, *sizes: Any) -> Tensor:
    return deform_conv2d(x, offset, weight, None, *sizes[:3])


def _modulated(x, offset, mask, weight, bias, *sizes: Any) -> Tensor:
    return deform_conv2d(x, offset, weight, bias, *sizes[:3], mask)


@contextmanager
def _countable_deformable() -> Iterator[None]:
    """Let torchvision's operator run mmcv's deformable convolutions.

    The counter sees that operator. mmcv's own operators, where they are
    compiled, cannot run on the meta device.
    """
    with ExitStack() as stack:
        for module, name, replacement in (
            (deform_conv, 'deform_conv2d', _plain),
            (modulated_deform_conv, 'modulated_deform_conv2d', _modulated),
        ):
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, replacement)
        yield

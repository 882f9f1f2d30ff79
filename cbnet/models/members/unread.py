"""Parameters that no map reads.

Distributed training waits for a gradient of every parameter, so a member
must not own parameters without one.
"""

from collections.abc import Collection, Iterator, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .trace import probe_image


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put every submodule into eval mode inside the block.

    ``train()`` clears what some modules keep between passes in eval mode,
    which would be wrong after the block, or without a graph inside it.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.train()
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        module.train()
        for part, mode in modes:
            part.training = mode


@contextmanager
def normalising(module: nn.Module) -> Iterator[None]:
    """Let norms use the statistics of what they see, and keep none.

    With the statistics that norms begin with, the maps of some backbones
    (ConvAWS) grow beyond all numbers until weights are loaded.
    """
    norms = [part for part in module.modules() if isinstance(part, _NormBase)]
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        for norm, (mean, var) in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var = mean, var


def unread_parameters(adapter: Any, stage: int | None = None) -> set[str]:
    """Name the parameters of a hooked member that no map depends on.

    Args:
        adapter: the member.
        stage: a stage whose input is given; None: the images are given.
    """
    net, handles = adapter.net, []
    if stage is not None:
        entry = adapter.anatomy.entries[stage]
        handles.append(
            net.get_submodule(entry.name).register_forward_pre_hook(
                lambda module, args: tuple(map(_cut_off, args))
            )
        )
    named, frozen = dict(net.named_parameters()), []
    start, end = stage or 0, len(adapter.specs)
    try:
        # Entering, some backbones freeze stages again.
        with evaluating(net), torch.enable_grad():
            frozen = [p for p in named.values() if not p.requires_grad]
            for p in frozen:
                p.requires_grad_(True)
            image = probe_image(net, adapter.probe_size)
            maps = adapter.compute_maps(image, range(start, end))
            grads = torch.autograd.grad(
                sum(y.float().sum() for y in maps),
                named.values(),
                allow_unused=True,
            )
    finally:
        for p in frozen:
            p.requires_grad_(False)
        for handle in handles:
            handle.remove()
    return {
        name for name, grad in zip(named, grads, strict=True) if grad is None
    }


def _cut_off(value: Any) -> Any:
    """Detach a stage input from what came before."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return type(value)(_cut_off(part) for part in value)
    return value


def remove_unread(net: nn.Module, rest: Set[str], unread: Set[str]) -> None:
    """Remove modules such as the head; freeze what else no map depends on.

    Args:
        net: the backbone.
        rest: the modules that are not called before the last map is there.
        unread: the parameters that no map depends on.
    """
    removed: tuple[str, ...] = ()
    for name, module in list(net.named_modules()):
        lists = isinstance(module, nn.ModuleList | nn.ModuleDict)
        if lists or name.startswith(removed):
            continue
        inside = {
            '.'.join(filter(None, (name, key)))
            for key, _ in module.named_modules()
        }
        owned = {f'{name}.{key}' for key, _ in module.named_parameters()}
        if name and owned and owned <= unread and inside <= rest:
            chain = isinstance(module, nn.Sequential)
            nothing = nn.Sequential() if chain else nn.Identity()
            net.set_submodule(name, nothing)
            removed += (f'{name}.',)
    for name, p in net.named_parameters():
        if name in unread:
            p.requires_grad_(False)


def empty(module: nn.Module) -> None:
    """Take all parameters and statistics from a module that never runs."""
    if isinstance(module, nn.Sequential):
        for name, _ in list(module.named_children()):
            module.set_submodule(name, nn.Identity())
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            tensors.update(dict.fromkeys(tensors))
        if isinstance(part, _NormBase):
            part.track_running_stats = False
        # What else would reach for them.
        for name in ('init_weights', 'reset_parameters'):
            if hasattr(part, name):
                setattr(part, name, _do_nothing)
        part._load_from_state_dict = partial(
            nn.Module._load_from_state_dict, part
        )


def _do_nothing() -> None:
    """Stand for a method of a module that is empty."""


def set_aside(module: nn.Module, names: Set[str]) -> None:
    """Make parameters buffers that are in no state dict.

    The code of the module may still mention them.
    """
    for name, p in list(module.named_parameters()):
        if name in names:
            owner, _, key = name.rpartition('.')
            part = module.get_submodule(owner)
            delattr(part, key)
            part.register_buffer(key, p.detach(), persistent=False)


def drop(net: nn.Module, piece: Collection[str]) -> None:
    """Take a piece from a backbone: its modules and their own parameters."""
    for name in piece:
        try:
            module = net.get_submodule(name)
        except AttributeError:
            continue  # it went with what holds it
        inside = {f'{name}.{key}' for key, _ in module.named_modules() if key}
        if name and inside <= set(piece):
            net.set_submodule(name, nn.Identity())
            continue
        for key, _ in list(module.named_parameters(recurse=False)):
            delattr(module, key)

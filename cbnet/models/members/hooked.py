"""Hooked members: a backbone that runs as it is.

A forward pre-hook at the first module of each stage adds the connection's
map to that module's input, in the layout that the module speaks.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from ...errors import UserValueError
from .base import STEM, MemberAdapter, MemberRun
from .channel import Channel, HookedRun
from .entries import Anatomy
from .hooks import EntryHook, Recomputed, ResultHook, StandIn
from .unread import drop, empty, set_aside, unread_parameters


class HookedAdapter(MemberAdapter):
    """Run a backbone whose forward nobody takes apart.

    Args:
        backbone: the built backbone.
        anatomy: where its stages begin.
    """

    # The same defaults as in the ResNet family: raw outputs, conv, norm.
    connection = dict(bias=False)
    _with_cp = False

    def __init__(self, backbone: nn.Module, anatomy: Anatomy) -> None:
        super().__init__(backbone)
        self.anatomy, self.specs = anatomy, anatomy.specs
        self.channel = Channel()
        # The number of stages that the first member runs at least.
        self.least = 0
        self._hooks = [
            self._module(entry.name).register_forward_pre_hook(
                EntryHook(self.channel, i, entry)
            )
            for i, entry in enumerate(anatomy.entries)
        ]

    @property
    def norm_cfg(self) -> dict[str, Any]:
        """The norm of connections: the backbone's own, if it is for maps."""
        own = getattr(self.backbone, 'norm_cfg', None) or {}
        kind = str(own.get('type', ''))
        return own if kind.endswith(('BN', 'GN', 'IN')) else dict(type='BN')

    def __getstate__(self) -> dict:
        # A copy keeps the modules' hooks, but not the handles to remove them.
        return self.__dict__ | {'_hooks': []}

    @property
    def net(self) -> nn.Module:
        """The module whose parts the anatomy names."""
        return self.backbone

    @property
    def out_indices(self) -> tuple[int, ...]:
        """The stages whose maps the backbone emits: all of them."""
        return tuple(range(len(self.specs)))

    @property
    def with_cp(self) -> bool:
        """Whether to recompute activations in the backward pass."""
        return self._with_cp

    @with_cp.setter
    def with_cp(self, value: bool) -> None:
        self._with_cp = value
        for name in (n for units in self.anatomy.units[1:] for n in units):
            module = self._module(name)
            forward = vars(module).get('forward')
            if value and forward is None:
                module.forward = Recomputed(module)
            elif not value and isinstance(forward, Recomputed):
                del module.forward

    def _module(self, name: str) -> nn.Module:
        return self.net.get_submodule(name)

    def pad(self, images: Tensor) -> Tensor:
        """Pad images to a size that the backbone accepts."""
        return images

    def compute_maps(
        self, images: Tensor, stages: Sequence[int]
    ) -> list[Tensor]:
        """Compute the maps of some stages, with the backbone's forward."""
        maps = self.backbone(images)
        return [maps[i] for i in stages]

    def run(
        self,
        images: Tensor,
        add: Callable[[int, tuple[int, int]], Tensor | None],
        end: int,
        first: MemberRun | None = None,
    ) -> MemberRun:
        """Run the stages before ``end``, adding to the input of each."""
        start = self.shared_stages or 0
        end = max(end, self.least)
        shared = range(STEM, start if self.shared_stages is not None else STEM)
        run = HookedRun({}, {i: first.outputs[i] for i in shared})
        if start == end:
            run.inputs[start] = first.inputs[start]
            return run
        padded = self.pad(images)
        run.add, run.first = add, first
        run.size, run.padded = images.shape[-2:], padded.shape[-2:]
        self.channel.run = run
        try:
            maps = self.compute_maps(padded, range(start, end))
        finally:
            self.channel.run = run.add = run.first = None
        if run.fired != dict.fromkeys(range(start, end), 1):
            raise UserValueError(
                f'the stages {start} to {end - 1} of '
                f'{type(self.backbone).__name__} must begin once in a '
                f'forward pass, but began {run.fired} times'
            )
        run.outputs.setdefault(STEM, run.inputs[start])
        for i, y in zip(range(start, end), maps, strict=True):
            run.outputs[i] = run.crop(y, self.specs[i].out_stride)
        run.inputs.setdefault(end, run.outputs[end - 1])
        return run

    def share(self, stages: int, first: MemberAdapter) -> None:
        """Take the stem and leading stages from the first member."""
        self.shared_stages = self.channel.shared_stages = stages
        names = [
            n for piece in self.anatomy.units[: stages + 1] for n in piece
        ]
        if stages < len(self.specs):
            self._check_first(first, stages, names)
            unread = unread_parameters(self, stages)
        else:
            unread = {name for name, _ in self.net.named_parameters()}
        for name in names:
            module = self._module(name)
            empty(module)
            module.forward = StandIn(self.channel, name)
        set_aside(self.net, unread)

    def _check_first(
        self, first: MemberAdapter, stages: int, names: Sequence[str]
    ) -> None:
        """See what the first member can hand out."""
        mine = self.anatomy
        if (
            isinstance(first, HookedAdapter)
            and type(first.net) is type(self.net)
            and first.anatomy.units[: stages + 1] == mine.units[: stages + 1]
            and first.anatomy.entries[stages] == mine.entries[stages]
        ):
            self.channel.same_kind = True
            first.hand_out(names, stages)
        elif mine.entries[stages].layout.kind != 'NCHW':
            raise UserValueError(
                f'{type(self.net).__name__} can share only with a first '
                f'member of its own kind, because its modules pass '
                f'{mine.entries[stages].layout.kind}; use shared_stages=None'
            )

    def hand_out(self, names: Sequence[str], stages: int) -> None:
        """Keep the results of modules for the members that share them."""
        self.least = min(stages + 1, len(self.specs))
        for name in names:
            module = self._module(name)
            hooks = module._forward_hooks.values()
            if not any(isinstance(hook, ResultHook) for hook in hooks):
                module.register_forward_hook(ResultHook(self.channel, name))

    def drop_stem(self) -> None:
        """Remove the stem, without which the backbone no longer runs."""
        drop(self.net, self.anatomy.pieces[0])

    def drop_stage(self, i: int) -> None:
        """Remove stage ``i``, without which the backbone no longer runs."""
        drop(self.net, self.anatomy.pieces[i + 1])

    def stem_modules(self) -> list[nn.Module]:
        """List the modules that are first called in the stem."""
        modules = dict(self.net.named_modules())
        return [modules[n] for n in self.anatomy.pieces[0] if n in modules]

    def remove_hooks(self) -> None:
        """Leave the backbone without the hooks of this adapter."""
        for handle in self._hooks:
            handle.remove()

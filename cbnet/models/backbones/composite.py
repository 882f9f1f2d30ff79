"""The composite backbone: the model in one file.

Paper: arXiv 2107.00420, section 3.  Member ``k`` computes its stage ``l`` as
``x_k^l = F_k^l(x_k^{l-1} + g^{l-1}(x_{k-1}))``, where ``g`` joins it to the
outputs of the member before it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...pretrained import init_member
from ..members.base import MemberAdapter, adapt
from ..statistics import frozen_statistics
from .checks import (
    check_fit,
    check_normed_sources,
    member_configs,
    settle_out_indices,
)
from .connections import STEM, Connection, ConnectionOptions, style_edges

Outputs = dict[int, Tensor]  # by stage; STEM: the stem's


@MODELS.register_module()
class CompositeBackbone(BaseModule):
    """Several backbones, each feeding the next; the last one leads.

    ::

        image --> member 0 (assistant): stem  stage 0  stage 1  stage 2 ...
                                                 |        |        |
                     connection 0 (dhlc):        +<-------+<-------+
                                                 v        v        v
        image --> member 1 (lead):      stem  stage 0  stage 1  stage 2 ...
                                                 |        |        |
                                                 the pyramid: neck, heads

    Args:
        member: one backbone config for identical members, or a list of
            them, one per member; the last one is the lead's.
        num_members: how many members; 1 is the backbone alone.
        style: which stages feed which (``connections.STYLES``).
        shared_stages: None: every member has its own stem; 0: later members
            take the first one's stem; n: its stem and its first n stages.
        connection: overrides of ``connections.ConnectionOptions``; the
            defaults are those of the target member's family.
        out_indices: stages whose maps the composite returns; None: those
            that the members return.
        with_cp: recompute each stage's activations in the backward pass
            instead of keeping them.
        frozen: neither train members and connections nor move their
            statistics, as for comparing pretrained weights as they are.
        init_cfg: weights of the composite as a whole; those of a member
            belong into the member's config.

    Raises:
        TypeError: for a backbone that no adapter serves.
        ValueError: for members that do not fit together, or arguments out
            of range.
    """

    def __init__(
        self,
        member: dict[str, Any] | Sequence[dict[str, Any]],
        num_members: int = 2,
        style: str = 'dhlc',
        shared_stages: int | None = 0,
        connection: dict[str, Any] | None = None,
        out_indices: Sequence[int] | None = None,
        with_cp: bool = False,
        frozen: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        configs = member_configs(member, num_members)
        self.style = style
        self.shared_stages = shared_stages
        self.with_cp = with_cp
        self.frozen = frozen
        self.members = nn.ModuleList(MODELS.build(c) for c in configs)
        self.adapters = [
            adapt(backbone, cfg)
            for backbone, cfg in zip(self.members, configs, strict=True)
        ]
        check_fit(self.adapters, shared_stages)
        self.out_indices = settle_out_indices(self.adapters, out_indices)
        edges = style_edges(style, len(self.adapters[-1].specs))

        own = shared_stages or 0  # the first stage that later members own
        # Deviation: number of members.  Every pair of neighbours has its own
        # connection; the published code has one connection.
        self.connections = nn.ModuleList()
        for source, target in zip(
            self.adapters, self.adapters[1:], strict=False
        ):
            options = ConnectionOptions(norm_cfg=target.norm_cfg)
            options = options.updated(**target.connection)
            self.connections.append(
                Connection(
                    [edge for edge in edges if edge[1] >= own],
                    source.specs,
                    target.specs,
                    options.updated(**(connection or {})),
                )
            )
        check_normed_sources(self.adapters, self.connections)
        # A complete member's names, to tell a file's shared weights, which
        # a later member does not own, from foreign ones.
        self.complete = [frozenset(m.state_dict()) for m in self.members]
        # Dropped after the members froze their stages: what a member says
        # of frozen stages holds before DDP looks at the parameters.
        if shared_stages is not None:
            for adapter in self.adapters[1:]:
                adapter.drop_stem()
                for i in range(shared_stages):
                    adapter.drop_stage(i)
        for k, adapter in enumerate(self.adapters):
            emitted = {*self.out_indices, *self._normed_sources(k)}
            for i in set(adapter.emittable) - emitted:
                adapter.drop_emission(i)
        if frozen:
            self.requires_grad_(False)

    @property
    def num_members(self) -> int:
        """How many members there are."""
        return len(self.members)

    def train(self, mode: bool = True) -> 'CompositeBackbone':
        """Switch modes; a frozen composite stays in eval mode."""
        return super().train(mode and not self.frozen)

    def init_weights(self) -> None:
        """Give every member its weights; log one line a member."""
        super().init_weights()
        if self.init_cfg is None:
            for k, (member, names) in enumerate(
                zip(self.members, self.complete, strict=True)
            ):
                init_member(member, names, f'member {k}')

    def forward(
        self, x: Tensor, all_members: bool = False
    ) -> tuple[Tensor, ...] | list[tuple[Tensor, ...]]:
        """Compute the lead's pyramid.

        Args:
            x: images (B, C, H, W).
            all_members: for assistance: return every member's pyramid, the
                lead's last.

        Returns:
            A tuple of maps (B, C_i, H / s_i, W / s_i), one for each of
            ``out_indices``, or a list of such tuples.
        """
        pyramids: list[tuple[Tensor, ...]] = []
        first_inputs: Outputs = {}
        outputs: Outputs = {}
        sources: Outputs = {}
        for k, adapter in enumerate(self.adapters):
            emits = all_members or k == self.num_members - 1
            end = len(adapter.specs) if emits else self._last_used(k) + 1
            inputs, outputs = self._run_member(
                k, x, end, outputs, sources, first_inputs
            )
            if k == 0:
                first_inputs = inputs
            normed = self._normed_sources(k)
            maps = {
                i: adapter.emit(i, outputs[i])
                for i in {*normed, *(self.out_indices if emits else ())}
            }
            sources = outputs | {i: maps[i] for i in normed}
            if emits:
                pyramids.append(tuple(maps[i] for i in self.out_indices))
        return pyramids if all_members else pyramids[-1]

    def _normed_sources(self, k: int) -> set[int]:
        """Stages of member ``k`` that its connection reads normed."""
        if k == self.num_members - 1:
            return set()
        return self.connections[k].normed_sources

    def _last_used(self, k: int) -> int:
        """The last stage of assistant ``k`` that a later member reads."""
        read = [s for ss in self.connections[k].sources.values() for s in ss]
        return max([*read, (self.shared_stages or 0) - 1])

    def _run_member(
        self,
        k: int,
        x: Tensor,
        end: int,
        before: Outputs,
        sources: Outputs,
        first_inputs: Outputs,
    ) -> tuple[Outputs, Outputs]:
        """Run one member.

        Args:
            k: which one.
            x: images (B, C, H, W).
            end: how many of its stages to run.
            before: stage outputs of member ``k - 1``.
            sources: the same as its connection reads them.
            first_inputs: stage inputs of member 0.

        Returns:
            Its stage inputs and stage outputs.
        """
        adapter = self.adapters[k]
        own, inputs, outputs = 0, {}, {}
        if k == 0 or self.shared_stages is None:
            inputs[0] = outputs[STEM] = adapter.stem(x)
        else:
            own = self.shared_stages
            outputs = {i: before[i] for i in range(STEM, own)}
            inputs = {own: first_inputs[own]} if own in first_inputs else {}
        for i in range(own, end):
            x = inputs[i]
            if k:
                added = self.connections[k - 1](sources, i, x.shape[-2:])
                x = x if added is None else x + added
            outputs[i] = self._run_stage(adapter, i, x)
            inputs[i + 1] = adapter.next_input(i, outputs[i])
        return inputs, outputs

    def _run_stage(self, adapter: MemberAdapter, i: int, x: Tensor) -> Tensor:
        if not (self.with_cp and self.training):
            return adapter.run_stage(i, x)
        # The second run must not record statistics a second time.
        return checkpoint(
            adapter.run_stage,
            i,
            x,
            use_reentrant=False,
            context_fn=partial(_recomputation, adapter.backbone),
        )


def _recomputation(
    backbone: nn.Module,
) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of a checkpointed stage's first and second run."""
    return nullcontext(), frozen_statistics(backbone)

"""The composite backbone: the model in one file.

Paper: arXiv 2107.00420, section 3.  Member ``k`` computes its stage ``l`` as
``x_k^l = F_k^l(x_k^{l-1} + g^{l-1}(x_{k-1}))``, where ``g`` is the connection
from the member before it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...arguments import explained, validated
from ...pretrained import init_member
from ..members import MemberRun, build_member, innermost
from ..options import InitConfig
from . import checks
from .compiling import CompiledMembers, CompileOptions, settle_compile
from .connection_options import ConnectionOptions
from .connections import Connection, Style, style_edges
from .frozen import FrozenMembers


@MODELS.register_module()
@validated
class CompositeBackbone(FrozenMembers, CompiledMembers, BaseModule):
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
        member: one config of a backbone or ``Member`` for identical members,
            or a list with a config or a built one per member; the last leads.
        num_members: the number of members; 1 is the plain backbone.
        style: the rule which stages feed which (``connections.STYLES``).
        shared_stages: None: every member has its own stem; 0: later members
            take the stem of the first one; n: also its first n stages.
        connection: the overrides of ``ConnectionOptions``, whose
            defaults are those of the target member's family.
        out_indices: the stages whose maps the composite returns; None:
            those that the members return.
        with_cp: whether to recompute each stage's activations in the
            backward pass instead of keeping them.
        fast: which members compute in a faster way, where their family has
            one: all, no one, or the ``'assistants'``.  Their numbers are the
            same up to rounding, those of others bit for bit.
        compile: whether to compile each member with ``torch.compile``, or
            the overrides of ``compiling.CompileOptions``.
        frozen: whether to keep weights and statistics as they are, as for
            comparing pretrained members.
        init_cfg: the weights of the whole composite, not of a member.

    Raises:
        TypeError: if no adapter serves a member's backbone.
        ValueError: if members do not fit together.
    """

    def __init__(
        self,
        member: checks.Members,
        num_members: Annotated[int, Ge(1), Le(checks.MOST_MEMBERS)] = 2,
        style: Style = 'dhlc',
        shared_stages: Annotated[int, Ge(0)] | None = 0,
        connection: Annotated[dict[str, Any] | None, ConnectionOptions] = None,
        out_indices: Sequence[int] | None = None,
        with_cp: bool = False,
        fast: bool | Literal['assistants'] = True,
        compile: bool | Annotated[dict[str, Any], CompileOptions] = False,
        frozen: bool = False,
        init_cfg: InitConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        self.style, self.shared_stages = style, shared_stages
        self.frozen, self.compiles = frozen, settle_compile(compile)
        self._build_members(checks.member_configs(member, num_members))
        for adapter in self.adapters:
            adapter.with_cp, adapter.fast = with_cp, bool(fast)
        self.adapters[-1].fast = fast is True
        checks.check_members(self.adapters, shared_stages)
        self.out_indices = checks.settle_stages(self.adapters, out_indices)
        self._connect_members(connection)
        checks.check_sources(self.adapters, self.connections)
        self._prune_members()
        if frozen:
            self.requires_grad_(False)

    def _build_members(self, configs: Sequence) -> None:
        self.adapters = [*map(build_member, count(), configs)]
        self.members = nn.ModuleList(a.backbone for a in self.adapters)
        # Kept so that the weights of shared stages in a pretrained file are
        # not reported as unexpected.
        self._names = [frozenset(m.state_dict()) for m in self.members]

    def _connect_members(self, connection: dict[str, Any] | None) -> None:
        edges = style_edges(self.style, len(self.adapters[-1].specs))
        own = self.shared_stages or 0  # the first stage of later members
        # Deviation: number of members.  Each pair of neighbours is connected.
        self.connections = nn.ModuleList()
        for source, target in pairwise(self.adapters):
            options = ConnectionOptions(norm_cfg=target.norm_cfg)
            options = options.updated(target.connection).updated(connection)
            self.connections.append(
                Connection(
                    [edge for edge in edges if edge[1] >= own],
                    source.specs,
                    target.specs,
                    options,
                )
            )

    def _prune_members(self) -> None:
        """Remove what later members share and norms that nothing reads."""
        # The members have frozen their stages by now: frozen parameters must
        # be marked before DDP collects them.
        if self.shared_stages is not None:
            for adapter in self.adapters[1:]:
                adapter.share(self.shared_stages, innermost(self.adapters[0]))
        for k, adapter in enumerate(self.adapters):
            for i in set(adapter.emittable) - self._emitted(k, True):
                adapter.drop_emission(i)

    @property
    def num_members(self) -> int:
        """The number of members."""
        return len(self.members)

    def init_weights(self) -> None:
        """Initialise every member; log one line per member."""
        with explained('init_cfg cannot be followed'):
            super().init_weights()
            if self.init_cfg is None:
                for k, member in enumerate(self.members):
                    init_member(member, self._names[k], f'member {k}')

    def forward(
        self, x: Tensor, all_members: bool = False
    ) -> tuple[Tensor, ...] | list[tuple[Tensor, ...]]:
        """Compute the lead's pyramid.

        Args:
            x: the images (B, C, H, W).
            all_members: whether to return every member's pyramid, the
                lead's last, as assistance needs them.

        Returns:
            A tuple of maps (B, C_i, H / s_i, W / s_i), one for each of
            ``out_indices``, or a list of such tuples.
        """
        pyramids, first, before = [], None, None
        for k, adapter in enumerate(self.adapters):
            emits = all_members or k == self.num_members - 1
            end, emitted = self._num_stages(k, emits), self._emitted(k, emits)
            given = x, self._addition(k, before), end, first, emitted
            run = self.runner_of(k, adapter)(adapter, *given)
            if emits:
                pyramids.append(tuple(run.maps[i] for i in self.out_indices))
            first, before = first or run, run
        return pyramids if all_members else pyramids[-1]

    def _addition(self, k: int, before: MemberRun | None) -> Callable:
        """Make ``g(x_{k-1})``: what to add to each stage input of member k."""
        if before is None:
            return lambda stage, size: None
        connection = self.connections[k - 1]
        normed = {i: before.maps[i] for i in connection.normed_sources}
        return partial(connection, before.outputs | normed)

    def _emitted(self, k: int, emits: bool) -> set[int]:
        """The stages whose emitted maps of member ``k`` are used."""
        emitted = set(self.out_indices) if emits else set()
        if k < len(self.connections):
            emitted |= self.connections[k].normed_sources
        return emitted

    def _num_stages(self, k: int, emits: bool) -> int:
        """Count the stages of member ``k`` that something reads."""
        if emits:
            return len(self.adapters[k].specs)
        last = max(self.connections[k].read_stages, default=-1)
        return max(last + 1, self.shared_stages or 0)

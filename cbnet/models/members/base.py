"""The contract of a member: a backbone that runs stage by stage.

An adapter holds an unmodified backbone and lets the composite add a map to
the input of every stage.  If nothing is added, the result equals the
backbone's own, bit for bit, or up to rounding if the member is ``fast``; the
tests check this for every adapter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..statistics import recomputation_contexts

STEM = -1  # the place of the stem's output among the stage outputs


@dataclass(frozen=True)
class StageSpec:
    """The shapes at both ends of a stage.

    Attributes:
        in_channels: the channels of the stage's input.
        in_stride: the input pixels per position of the stage's input.
        out_channels: the channels of the stage's output.
        out_stride: the input pixels per position of the stage's output.
    """

    in_channels: int
    in_stride: int
    out_channels: int
    out_stride: int


@dataclass
class MemberRun:
    """What one member computed, by stage; every map is (B, C, H, W).

    For a CNN, the output of a stage, the next input and the emitted map are
    one tensor.  A Swin merges patches between the output and the next input,
    and normalises the output before it emits it.

    Attributes:
        inputs: the stage inputs, before a connection adds to them.
        outputs: the stage outputs; under ``STEM`` the stem's.
        maps: the emitted maps, which the pyramid consists of.
    """

    inputs: dict[int, Tensor]
    outputs: dict[int, Tensor]
    maps: dict[int, Tensor] = field(default_factory=dict)


class MemberAdapter:
    """Run a backbone, adding to its stage inputs.

    ::

        images -> stem -> x0 -> run_stage(0) -> y0 -> next_input(0) -> x1 ...
                                                |
                                                emit(0) -> map of the pyramid

    An adapter is a plain object, not a module: the composite owns the
    backbone itself, so parameters keep the backbone's names.

    Args:
        backbone: the built backbone.
    """

    #: the overrides of ConnectionOptions that members of this family need
    connection: ClassVar[dict[str, Any]] = {}
    #: ``shared_stages`` of the published composites of this family
    published_shared_stages: ClassVar[int] = 1
    #: whether a compiler finds one graph for images of all sizes
    dynamic: ClassVar[bool] = False

    specs: tuple[StageSpec, ...]
    #: the stages taken from the first member; None: not even the stem
    shared_stages: int | None = None
    #: whether to recompute each stage's activations in the backward pass
    with_cp: bool = False
    #: whether to compute in a faster way, if this family has one, whose
    #: numbers are those of the backbone's own code up to rounding
    fast: bool = False

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone = backbone
        #: the config of the backbone, which may not keep all its arguments
        self.cfg: Mapping[str, Any] = {}

    @property
    def out_indices(self) -> tuple[int, ...]:
        """The stages whose maps the backbone emits: all, unless it says."""
        every = range(len(self.specs))
        return tuple(getattr(self.backbone, 'out_indices', every))

    @property
    def emittable(self) -> tuple[int, ...]:
        """The stages that ``emit`` can serve."""
        return tuple(range(len(self.specs)))

    @property
    def norm_cfg(self) -> dict[str, Any] | None:
        """The backbone's norm config, which connections reuse."""
        return getattr(self.backbone, 'norm_cfg', None)

    def run(
        self,
        images: Tensor,
        add: Callable[[int, tuple[int, int]], Tensor | None],
        end: int,
        first: MemberRun | None = None,
    ) -> MemberRun:
        """Run the stages before ``end``, adding to the input of each.

        Args:
            images: (B, C, H, W).
            add: called with a stage and the (H, W) of its input; returns
                the map to add to that input, or None.
            end: the number of stages to run.
            first: the first member's run, for the stages shared with it.
        """
        start = self.shared_stages or 0
        if self.shared_stages is None:
            stem = self.stem(images)
            run = MemberRun({0: stem}, {STEM: stem})
        else:
            outputs = {i: first.outputs[i] for i in range(STEM, start)}
            run = MemberRun({start: first.inputs[start]}, outputs)
        for i in range(start, end):
            x = run.inputs[i]
            added = add(i, x.shape[-2:])
            y = self._stage(i, x if added is None else x + added)
            run.outputs[i], run.inputs[i + 1] = y, self.next_input(i, y)
        return run

    def _stage(self, i: int, x: Tensor) -> Tensor:
        if not (self.with_cp and self.backbone.training):
            return self.run_stage(i, x)
        contexts = partial(recomputation_contexts, self.backbone)
        return checkpoint(
            self.run_stage, i, x, use_reentrant=False, context_fn=contexts
        )

    def stem(self, x: Tensor) -> Tensor:
        """Turn images (B, C, H, W) into the input of stage 0."""
        raise NotImplementedError

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        """Turn the input of stage ``i`` into its output."""
        raise NotImplementedError

    def next_input(self, i: int, y: Tensor) -> Tensor:
        """Turn the output of stage ``i`` into the input of the next one."""
        return y

    def emit(self, i: int, y: Tensor) -> Tensor:
        """Turn the output of stage ``i`` into the pyramid's map."""
        return y

    def share(self, stages: int, first: 'MemberAdapter') -> None:
        """Take the stem and leading stages from the first member."""
        self.shared_stages = stages
        self.drop_stem()
        for i in range(stages):
            self.drop_stage(i)

    def drop_stem(self) -> None:
        """Remove the stem, which the first member computes."""
        raise NotImplementedError

    def drop_stage(self, i: int) -> None:
        """Remove stage ``i``, which the first member computes."""
        raise NotImplementedError

    def drop_emission(self, i: int) -> None:
        """Remove what only ``emit(i, y)`` needs, if nothing reads it."""

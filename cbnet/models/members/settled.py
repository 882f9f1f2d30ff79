"""Run a member with settings of its own."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserValueError
from .base import MemberAdapter, MemberRun, StageSpec
from .listening import listen
from .map_cache import MapCache
from .normalisation import Normalisation, settle
from .settings import Member

Add = Callable[[int, tuple[int, int]], Tensor | None]


def _of_inner(name: str) -> property:
    """Make a property that is the inner adapter's attribute."""
    return property(
        lambda self: getattr(self.inner, name),
        lambda self, value: setattr(self.inner, name, value),
    )


class SettledAdapter(MemberAdapter):
    """An adapter around another one, which runs it as the settings say.

    Args:
        inner: the adapter of the member's backbone.
        settings: the member's settings.
        title: the name of the member, for errors.

    Raises:
        ValueError: ``preprocess`` does not fit the backbone.
    """

    backbone = _of_inner('backbone')
    cfg = _of_inner('cfg')
    connection = _of_inner('connection')
    dynamic = _of_inner('dynamic')
    emittable = _of_inner('emittable')
    fast = _of_inner('fast')
    norm_cfg = _of_inner('norm_cfg')
    out_indices = _of_inner('out_indices')
    published_shared_stages = _of_inner('published_shared_stages')
    shared_stages = _of_inner('shared_stages')

    def __init__(
        self, inner: MemberAdapter, settings: Member, title: str
    ) -> None:
        self.inner, self.settings, self.title = inner, settings, title
        self.own = self.detector = None
        if settings.preprocess is not None:
            key = f'{title}: preprocess'
            self.own, self.detector = settle(
                settings.preprocess, self.backbone, key
            )
            self.learns = self.detector is None
            listen()
        if settings.frozen:
            # Before DDP and optimizers collect what is trained, and for
            # loops that train what was built without calling train().
            self.backbone.requires_grad_(False).eval()
        self.cache = None
        if settings.cache is not None:
            self.cache = MapCache(settings.cache, inner.cfg, title)

    def __copy__(self) -> 'SettledAdapter':
        """Copy the inner adapter, too, as a plain adapter is copied."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), inner=copy.copy(self.inner))
        return made

    @property
    def specs(self) -> tuple[StageSpec, ...]:
        """The shapes of each stage, with strides in pixels of the input.

        The strides are rounded, because sizes are never computed from them.
        """
        scale = self.settings.scale or 1
        return tuple(
            replace(
                spec,
                in_stride=max(1, round(spec.in_stride / scale)),
                out_stride=max(1, round(spec.out_stride / scale)),
            )
            for spec in self.inner.specs
        )

    @property
    def with_cp(self) -> bool:
        """Whether to recompute activations in the backward pass."""
        return self.inner.with_cp

    @with_cp.setter
    def with_cp(self, value: bool) -> None:
        wanted = value or self.settings.checkpoint
        self.inner.with_cp = wanted and not self.settings.frozen

    def run(
        self,
        images: Tensor,
        add: Add,
        end: int,
        first: MemberRun | None = None,
    ) -> MemberRun:
        """Run the stages before ``end``, adding to the input of each."""
        typed = self.settings.dtype is not None and not images.is_meta
        if typed:
            add = _as_outside(add, images.device.type)
        with self._conditions(images, receives=first is not None):
            if self.cache and self.cache.serves(self.inner, images):
                seen = torch.cat([self.see(x) for x in images.split(1)])
                run = MemberRun({}, self.cache.run(self.inner, seen, end))
            else:
                run = self.inner.run(self.see(images), add, end, first)
            if typed:
                for i, y in run.outputs.items():
                    run.outputs[i] = y.to(images.dtype)
        return run

    def stem(self, x: Tensor) -> Tensor:
        """Turn images (B, C, H, W) into the input of stage 0."""
        return self.inner.stem(self.see(x))

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        """Turn the input of stage ``i`` into its output."""
        return self.inner.run_stage(i, x)

    def next_input(self, i: int, y: Tensor) -> Tensor:
        """Turn the output of stage ``i`` into the input of the next one."""
        return self.inner.next_input(i, y)

    def emit(self, i: int, y: Tensor) -> Tensor:
        """Turn the output of stage ``i`` into the pyramid's map."""
        with self._conditions(y, receives=y.requires_grad):
            return self.inner.emit(i, y).to(y.dtype)

    def see(self, images: Tensor) -> Tensor:
        """Turn the detector's images (B, C, H, W) into this member's."""
        if self.own is not None:
            images = self.own.of(images, self._detector())
        if self.settings.scale is not None:
            size = self.seen_size(images.shape[-2:])
            if size != tuple(images.shape[-2:]):
                images = F.interpolate(
                    images, size, mode='bilinear', antialias=True
                )
        return images

    def seen_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Tell to which (H, W) images of a size are resized.

        A map of this member covers whole cells, so that of a size which is
        no multiple of the stride, its last cells would lie partly beyond the
        image, and all would be moved when the map is resized.
        """
        cell = max(spec.out_stride for spec in self.inner.specs)
        height, width = (
            max(1, int(side * self.settings.scale / cell + 0.5)) * cell
            for side in size
        )
        return height, width

    def learn(self, detector: Normalisation) -> None:
        """Take over how the detector normalises, unless the config says it."""
        if self.own is not None and self.learns:
            self.detector = detector

    def _detector(self) -> Normalisation:
        if self.detector is None:
            raise UserValueError(
                f'{self.title}: preprocess does not know which mean and std '
                f'to undo, because this composite is the backbone of no '
                f'detector; give preprocess=dict(like=..., of=dict(mean=..., '
                f'std=..., bgr_to_rgb=True)), or of=_base_.model.'
                f'data_preprocessor'
            )
        return self.detector

    @contextmanager
    def _conditions(self, x: Tensor, receives: bool) -> Iterator[None]:
        """Set the type and, if nothing needs one, leave out the graph."""
        # If a connection feeds a frozen member, its gradient passes through.
        graph = receives or not self.settings.frozen
        with torch.set_grad_enabled(torch.is_grad_enabled() and graph):
            if self.settings.dtype is None or x.is_meta:
                yield  # autocast knows no meta device, where costs are counted
                return
            kind, dtype = x.device.type, getattr(torch, self.settings.dtype)
            if dtype is torch.float32:
                with torch.autocast(kind, enabled=False):
                    yield
                return
            if kind == 'cpu' and dtype is torch.float16:
                dtype = torch.bfloat16  # as in the training of detectors
            with torch.autocast(kind, dtype=dtype):
                yield

    def share(self, stages: int, first: MemberAdapter) -> None:
        """Take the stem and leading stages from the first member."""
        self.inner.share(stages, innermost(first))

    def drop_stem(self) -> None:
        """Remove the stem, which the first member computes."""
        self.inner.drop_stem()

    def drop_stage(self, i: int) -> None:
        """Remove stage ``i``, which the first member computes."""
        self.inner.drop_stage(i)

    def drop_emission(self, i: int) -> None:
        """Remove what only ``emit(i, y)`` needs, if nothing reads it."""
        self.inner.drop_emission(i)


def _as_outside(add: Add, kind: str) -> Add:
    """Let a connection compute in the type of what is around the member."""
    enabled = torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind)

    def added(stage: int, size: tuple[int, int]) -> Tensor | None:
        with torch.autocast(kind, dtype=dtype, enabled=enabled):
            return add(stage, size)

    return added


def innermost(adapter: MemberAdapter) -> MemberAdapter:
    """Give the adapter of the backbone itself."""
    return adapter.inner if isinstance(adapter, SettledAdapter) else adapter


def settings_of(adapter: MemberAdapter) -> Member | None:
    """Give the settings of a member; None if it has none of its own."""
    return getattr(adapter, 'settings', None)


def is_frozen(adapter: MemberAdapter) -> bool:
    """Tell whether a member's own settings freeze it."""
    settings = settings_of(adapter)
    return settings is not None and settings.frozen

"""Compile parts of a detector, such as its neck and heads."""

from collections.abc import Sequence
from typing import Annotated, Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..arguments import validated
from ..errors import UserValueError
from ..messages import did_you_mean
from ..models.backbones import CompositeBackbone
from ..models.backbones.compiling import CompileOptions, settle_compile
from .checked_saving import bare_model


@HOOKS.register_module()
@validated
class CompileHook(Hook):
    """Compile the ``forward`` of some parts of the model before a run.

    ``dict(type='CompileHook', parts=['neck', 'rpn_head'])``.  The members of
    a composite are compiled by its own option, ``compile=True``.  A part is
    compiled where it is, so that names and checkpoints stay as they are.

    Args:
        parts: the names of modules of the model, ``'roi_head.bbox_head'``.
        compile: the overrides of ``CompileOptions``; one graph serves all
            sizes unless ``dynamic=False``.

    Raises:
        ValueError: there is no such part when the run starts.
    """

    def __init__(
        self,
        parts: Sequence[str],
        compile: Annotated[dict[str, Any] | None, CompileOptions] = None,
    ) -> None:
        self.parts = list(parts)
        self.options = settle_compile(dict(dynamic=True) | (compile or {}))

    def before_run(self, runner: Runner) -> None:
        """Compile the parts in place."""
        model = bare_model(runner)
        for module in [find_part(model, name) for name in self.parts]:
            module.compile(
                backend=self.options.backend,
                mode=self.options.mode,
                dynamic=self.options.dynamic,
            )


def find_part(model: nn.Module, name: str) -> nn.Module:
    """Find a module of a model by its name.

    Raises:
        ValueError: there is none of this name, or it is a composite or in
            one, which asks its members by other ways than a call.
    """
    modules = dict(model.named_modules())
    if name not in modules or not name:
        raise UserValueError(
            f'CompileHook: parts names {name!r}, which is no module of the '
            f'model{did_you_mean(name, modules)}'
        )
    for place, module in modules.items():
        inside = name == place or name.startswith(f'{place}.')
        if inside and isinstance(module, CompositeBackbone):
            raise UserValueError(
                f'CompileHook: parts names {name!r}; the members of a '
                f'composite are compiled by model.{place}.compile=True'
            )
    return modules[name]

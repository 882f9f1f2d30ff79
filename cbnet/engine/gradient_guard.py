"""Name what gets no gradient before distributed training waits for it."""

from collections.abc import Iterator

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..arguments import validated
from ..errors import UserValueError
from ..messages import listed
from .checked_saving import bare_model


@HOOKS.register_module()
@validated
class GradientGuardHook(Hook):
    """Stop a step of several processes that leaves parameters out.

    ``DistributedDataParallel`` waits for a gradient of every parameter,
    unless it looks for those that are not used.  Without one, processes
    average no gradients, and the next step hangs or ends in an error that
    counts parameters by number.
    """

    def before_train(self, runner: Runner) -> None:
        """Begin to look before each step of the optimizers."""
        model = runner.model
        self.handles = []
        if not isinstance(model, DistributedDataParallel):
            return
        if model.find_unused_parameters or model.static_graph:
            return
        wrapper = runner.optim_wrapper
        several = wrapper.values() if hasattr(wrapper, 'values') else [wrapper]
        for one in several:
            self.handles.append(
                one.optimizer.register_step_pre_hook(
                    lambda *_: check_gradients(bare_model(runner))
                )
            )

    def after_train(self, runner: Runner) -> None:
        """Leave the optimizers as they were."""
        for handle in self.handles:
            handle.remove()


def check_gradients(model: nn.Module) -> None:
    """See that every trainable parameter has a gradient.

    Raises:
        ValueError: some have none.
    """
    parts = list(_without_gradient(model))
    if not parts:
        return
    raise UserValueError(
        f'nothing reads {listed(parts)}, so no gradient reaches the '
        f'parameters there, and the processes of distributed training would '
        f'wait for them; leave out the stage or the part that nothing reads '
        f'(backbone.out_indices, style), or set find_unused_parameters=True '
        f'in the config, which costs time'
    )


def _without_gradient(model: nn.Module) -> Iterator[str]:
    """Yield the largest modules, and then parameters, without gradients."""
    found: tuple[str, ...] = ()
    for name, module in model.named_modules():
        inside = [p for p in module.parameters() if p.requires_grad]
        whole = inside and all(p.grad is None for p in inside)
        if name and whole and not name.startswith(found):
            found += (f'{name}.',)
            yield name
    for name, p in model.named_parameters():
        if p.requires_grad and p.grad is None and not name.startswith(found):
            yield name

"""Hybrid Task Cascade with masks averaged over its stages, as published."""

from typing import Any

from mmdet.models.roi_heads import HybridTaskCascadeRoIHead
from mmdet.registry import MODELS
from torch import Tensor, nn

from ...arguments import validated


@MODELS.register_module()
@validated
class StageMeanHTCRoIHead(HybridTaskCascadeRoIHead):
    """Average the masks of all stages in inference.

    HTC (arXiv 1901.07518), mmdet 2.x and the published models average them.
    Training, boxes and the names of parameters are those of mmdet.

    Deviation: masks of HTC in inference.  mmdet 3.3.0 also computes the
    masks of every stage, but uses only those of the last one.
    """

    def _mask_forward(
        self, *args: Any, training: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        if training:
            return super()._mask_forward(*args, training=True, **kwargs)
        stages: list[Tensor] = []

        def keep(_: nn.Module, __: tuple, output: Any) -> None:
            # With information flow, a head also returns its features.
            stages.append(output if isinstance(output, Tensor) else output[0])

        hooks = [head.register_forward_hook(keep) for head in self.mask_head]
        try:
            results = super()._mask_forward(*args, training=False, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        return dict(results, mask_preds=stages)

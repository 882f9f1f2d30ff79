"""Several CPU processes, for models with norms that only GPUs synchronise."""

from typing import Any

from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn


# In mmengine's registry: its runner looks wrappers up in no other.
@MODEL_WRAPPERS.register_module()
class CpuDataParallel(MMDistributedDataParallel):
    """Wrap a model as mmengine does, with norms that a CPU can compute.

    torch's ``SyncBN`` refuses CPUs.  Its layers become plain batch norms of
    the same names and parameters, which take the statistics of their own
    process's images; where there is one process, mmengine does so by itself.

    Args:
        module: the model, changed in place.
        options: those of ``MMDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, **options: Any) -> None:
        super().__init__(revert_sync_batchnorm(module), **options)

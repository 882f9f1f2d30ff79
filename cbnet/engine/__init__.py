"""What runs around the model: hooks, optimizer wrappers, command lines."""

from .checked_saving import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .cpu_amp import CpuAmpOptimWrapper
from .cpu_parallel import CpuDataParallel
from .guards import add_guards
from .layer_decay import MemberLayerDecayConstructor
from .loss_guard import LossGuardHook
from .memory_format import ChannelsLastHook
from .safe_stop import SafeStopHook
from .swa import SWAHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointFitHook',
    'CpuAmpOptimWrapper',
    'CpuDataParallel',
    'LossGuardHook',
    'MemberLayerDecayConstructor',
    'SafeCheckpointHook',
    'SafeStopHook',
    'SWAHook',
    'add_guards',
]

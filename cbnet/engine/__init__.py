"""Hooks, optimizer wrappers and launchers, which run around the model."""

from .checked_saving import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .compiling import CompileHook
from .gradient_guard import GradientGuardHook
from .guards import add_guards
from .launch import CpuDataParallel
from .layer_decay import MemberLayerDecayConstructor
from .loss_guard import LossGuardHook
from .memory_format import ChannelsLastHook
from .mixed_precision import CpuAmpOptimWrapper
from .safe_stop import SafeStopHook
from .swa import SWAHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointFitHook',
    'CompileHook',
    'CpuAmpOptimWrapper',
    'CpuDataParallel',
    'GradientGuardHook',
    'LossGuardHook',
    'MemberLayerDecayConstructor',
    'SafeCheckpointHook',
    'SafeStopHook',
    'SWAHook',
    'add_guards',
]

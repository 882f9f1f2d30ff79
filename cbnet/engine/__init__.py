"""Hooks, optimizer wrappers and launchers, which run around the model."""

from .checked_saving import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .compiling import CompileHook
from .fast_inference import FoldedNormsHook
from .gradient_guard import GradientGuardHook
from .guards import add_guards
from .launch import CpuDataParallel
from .layer_decay import MemberLayerDecayConstructor
from .loss_guard import LossGuardHook
from .memory_format import ChannelsLastHook
from .mixed_precision import CpuAmpOptimWrapper
from .resources import ResourcesHook
from .run_length_masks import RunLengthMasksHook
from .safe_stop import SafeStopHook
from .swa import SWAHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointFitHook',
    'CompileHook',
    'CpuAmpOptimWrapper',
    'CpuDataParallel',
    'FoldedNormsHook',
    'GradientGuardHook',
    'LossGuardHook',
    'MemberLayerDecayConstructor',
    'RunLengthMasksHook',
    'SafeCheckpointHook',
    'SafeStopHook',
    'ResourcesHook',
    'SWAHook',
    'add_guards',
]

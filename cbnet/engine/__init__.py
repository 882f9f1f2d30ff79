"""What runs around the model: hooks, optimizer wrappers, command lines."""

from .cpu_amp import CpuAmpOptimWrapper
from .memory_format import ChannelsLastHook

__all__ = ['CpuAmpOptimWrapper', 'ChannelsLastHook']

"""Choose number types and the order of sums.

Half precision is too coarse for coordinates and probabilities, so narrow
operands are widened and results are rounded once, when they are written.
"""

import numpy as np
import torch
from torch import Tensor


def widen(tensor: Tensor) -> Tensor:
    """Return float16 and bfloat16 as float32, other types unchanged."""
    narrow = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if narrow else tensor


def round_to_float32(value: float) -> float:
    """Round a parameter as a C++ ``float`` argument does."""
    return float(np.float32(value))


def must_be_deterministic(tensor: Tensor) -> bool:
    """Say whether sums over this tensor must be added in a fixed order.

    Library kernels add gradients atomically on CUDA: some refuse the mode
    that mmengine's ``randomness=dict(deterministic=True)`` switches on,
    others break its promise.
    """
    return tensor.is_cuda and torch.are_deterministic_algorithms_enabled()

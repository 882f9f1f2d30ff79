"""Number types: what the compiled operators round, and what we do not."""

import numpy as np
import torch
from torch import Tensor

_NARROW = (torch.float16, torch.bfloat16)


def widen(tensor: Tensor) -> Tensor:
    """Return float16 and bfloat16 as float32, other types unchanged.

    Coordinates and probabilities lose too much in half precision; results
    are rounded to the caller's type once, when they are written.
    """
    return tensor.float() if tensor.dtype in _NARROW else tensor


def round_to_float32(value: float) -> float:
    """Round a parameter as a C++ ``float`` argument does."""
    return float(np.float32(value))

"""The errors of checkpoints that are not loaded."""

import pickle


class UnsafeCheckpointError(pickle.UnpicklingError):
    """A checkpoint asks for something else than data."""


class BrokenCheckpointError(RuntimeError):
    """A checkpoint is cut short, or no checkpoint at all."""

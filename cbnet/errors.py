"""The errors that are written for whoever runs the package.

A command shows their text in one line and keeps the traceback for the log;
every other error is a fault of the package and shows its traceback.
"""

import pickle


class UserError(Exception):
    """The base of every error whose text is written for the user."""


class UserValueError(UserError, ValueError):
    """An argument, a config value or a file's content is wrong."""


class UserTypeError(UserError, TypeError):
    """An object of another kind was expected."""


class UserFileError(UserError, OSError):
    """A file cannot be read or written."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder does not exist."""


class UnsafeCheckpointError(UserError, pickle.UnpicklingError):
    """A checkpoint asks for something other than data."""


class NeedsValuesError(UserError, NotImplementedError):
    """A model has to be built with values, not on the meta device."""


class BrokenCheckpointError(UserError, RuntimeError):
    """A checkpoint is cut short, or is not a checkpoint."""

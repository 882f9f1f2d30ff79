"""Let members learn how the detector around them normalises images.

A detector owns its backbone and its data preprocessor, and a backbone sees
neither.  So this watches, in the whole process, which module takes which as
its part.
"""

from functools import cache

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from ...compat.mmengine_internals import normalisation
from .normalisation import Normalisation


@cache
def listen() -> None:
    """Tell every composite, from now on, which detector takes it.

    Its members that have a method ``learn`` are called with the detector's
    :class:`~cbnet.models.members.normalisation.Normalisation`.
    """
    register_module_module_registration_hook(_tell)


def _tell(owner: nn.Module, name: str, part: nn.Module | None) -> None:
    if name not in ('backbone', 'data_preprocessor'):
        return
    parts = owner._modules | {name: part}
    preprocessor = parts.get('data_preprocessor')
    if preprocessor is None:
        return
    for adapter in getattr(parts.get('backbone'), 'adapters', ()):
        if hasattr(adapter, 'learn'):
            adapter.learn(Normalisation(*normalisation(preprocessor)))

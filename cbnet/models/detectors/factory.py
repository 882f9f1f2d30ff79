"""Make the assisted subclass of any mmdet detector.

Parameters, inference, hooks and tools stay those of the plain detector, and
``type='MaskRCNN'`` loads the file that ``AssistedMaskRCNN`` was trained to.
"""

from functools import cache
from typing import Annotated, Any

from mmdet.registry import MODELS

from ...arguments import BuiltFrom, explained, validated
from ...errors import UserValueError
from ...messages import did_you_mean
from .assistance import AssistantSupervision
from .plan import AssistanceOptions


@cache
def assisted(base: type) -> type:
    """Make the assisted subclass of a detector class, once for each class."""
    name = f'Assisted{base.__name__}'
    return type(
        name,
        (AssistantSupervision, base),
        # A real address, so that models can be pickled (see __getattr__).
        dict(__module__=__name__, __qualname__=name, __doc__=base.__doc__),
    )


@MODELS.register_module()
@validated
def AssistedDetector(
    base: str,
    assistance: Annotated[dict[str, Any] | None, AssistanceOptions] = None,
    **kwargs: Any,
) -> AssistantSupervision:
    """Build a detector with assistant supervision.

    Args:
        base: the type of the detector, such as ``'MaskRCNN'``.
        assistance: the overrides of
            :class:`~cbnet.models.detectors.plan.AssistanceOptions`.
        kwargs: the detector's own arguments, as in its plain config.

    Raises:
        ValueError: if no detector is registered as ``base``.
    """
    cls = MODELS.get(base)
    if cls is None:
        raise UserValueError(
            f'base={base!r} is not a registered detector'
            f'{did_you_mean(base, MODELS.module_dict) or "."} Give the type '
            f"of the plain config, such as 'MaskRCNN'"
        )
    BuiltFrom(MODELS).check('AssistedDetector', dict(kwargs, type=cls))
    with explained(f'{base} does not accept its arguments'):
        return assisted(cls)(assistance=assistance, **kwargs)


def __getattr__(name: str) -> type:
    """Resolve ``AssistedMaskRCNN`` and its like, for pickle and imports."""
    base = name.removeprefix('Assisted')
    if base == name or MODELS.get(base) is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return assisted(MODELS.get(base))

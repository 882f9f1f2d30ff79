"""The fingerprint of a file that is made for others.

It is in ``meta`` and holds a digest of every tensor, a digest of the class
names, and what was recorded of the detector's outputs on a fixed image
(``engine.probe``).  It finds damage and mistakes; it is no signature: whoever
changes a weight can change the fingerprint, too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from ..errors import UserValueError
from ..messages import listed

#: the key of a fingerprint in a file's ``meta``
KEY = 'cbnet_fingerprint'
_FORMAT = 1
#: what was recorded of one output: numbers, or why there are none
Recorded = dict[str, list[float] | str]


@dataclass(frozen=True)
class Fingerprint:
    """What a file says about its own weights and the outputs they give.

    Attributes:
        weights: a digest of each weight's numbers, shape and data type.
        classes: a digest of the names of the classes.
        outputs: what was recorded of each output of the detector; empty if
            the file was written without a config.
        format: the number of this format.
    """

    weights: dict[str, str]
    classes: str
    outputs: Recorded = field(default_factory=dict)
    format: int = _FORMAT


def with_fingerprint(
    meta: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    outputs: Recorded | None = None,
) -> dict[str, Any]:
    """Add a fingerprint to the meta of a file, in place of an earlier one.

    Args:
        meta: the meta of the file.
        weights: the weights of the file.
        outputs: what was recorded of the detector's outputs.
    """
    made = Fingerprint(
        {name: digest(weight) for name, weight in weights.items()},
        _class_digest(meta),
        dict(outputs or {}),
    )
    return {**meta, KEY: asdict(made)}


def digest(weight: Tensor) -> str:
    """Compute 16 hexadecimal digits of a tensor's SHA-256.

    The data type, the shape and all bytes count; strides do not.  Of a weight
    that FSDP shards, every process has to ask for it.
    """
    weight = weight.detach()
    if isinstance(weight, DTensor):
        weight = weight.full_tensor()
    weight = weight.cpu().contiguous()
    done = hashlib.sha256(f'{weight.dtype} {tuple(weight.shape)} '.encode())
    done.update(weight.reshape(-1).view(torch.uint8).numpy())
    return done.hexdigest()[:16]


def _class_digest(meta: Any) -> str:
    about = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    classes = about.get('classes') if isinstance(about, Mapping) else None
    names = classes if isinstance(classes, list | tuple) else ()
    text = '\n'.join(name for name in names if isinstance(name, str))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_fingerprint(file: Any, source: str) -> Fingerprint | None:
    """Take the fingerprint out of a file; None if it has none.

    Raises:
        ValueError: the fingerprint is damaged or of a newer format.
    """
    meta = file.get('meta') if isinstance(file, Mapping) else None
    found = meta.get(KEY) if isinstance(meta, Mapping) else None
    if found is None:
        return None
    number = found.get('format') if isinstance(found, Mapping) else None
    if isinstance(number, int) and number > _FORMAT:
        raise UserValueError(
            f'{source} has a fingerprint of format {number}, and this cbnet '
            f'knows {_FORMAT}; install a newer cbnet'
        )
    try:
        made = Fingerprint(**found)
        whole = _is_whole(made)
    except (AttributeError, TypeError):
        whole = False
    if not whole:
        raise UserValueError(
            f'the fingerprint of {source} is damaged; download or copy the '
            f'file again'
        )
    return made


def _is_whole(made: Fingerprint) -> bool:
    texts = [*made.weights, *made.weights.values(), made.classes]
    return (
        made.format == _FORMAT
        and all(isinstance(text, str) for text in texts)
        and all(
            isinstance(output, str)
            or (output and all(type(n) is float for n in output))
            for output in made.outputs.values()
        )
    )


def changes(
    weights: Mapping[str, Tensor], meta: Any, made: Fingerprint
) -> str:
    """Describe how a file differs from its fingerprint; empty if it does not.

    Args:
        weights: the weights of the file.
        meta: the meta of the file.
        made: its fingerprint.
    """
    owners: dict[str, str] = {}
    for name, text in made.weights.items():
        owners.setdefault(text, name)
    changed = []
    for name in weights.keys() & made.weights.keys():
        now = digest(weights[name])
        if now != made.weights[name]:
            owner = owners.get(now)
            changed.append(f'{name}, now that of {owner}' if owner else name)
    kinds = {
        'changed': sorted(changed),
        'missing': [name for name in made.weights if name not in weights],
        'added': [name for name in weights if name not in made.weights],
    }
    found = [
        f'{len(names)} {kind} ({listed(names, 3)})'
        for kind, names in kinds.items()
        if names
    ]
    if made.classes != _class_digest(meta):
        found.append('other names of classes')
    return ', '.join(found)

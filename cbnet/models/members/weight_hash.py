"""The hash of a member's weights, computed again only if they changed."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from ...checkpoints.fingerprint import digest
from ...checkpoints.fit import NEEDLESS


def weight_hash(member: nn.Module) -> Tensor:
    """Compute the SHA-256 of a member's weights: 32 floats, one per byte.

    Averages, checks of files and changes of type leave such numbers alone.
    Weights on the meta device have no hash, but a place for one.
    """
    weights = {
        name: weight
        for name, weight in sorted(member.state_dict().items())
        if not NEEDLESS.search(name)
    }
    if any(weight.is_meta for weight in weights.values()):
        return torch.empty(hashlib.sha256().digest_size, device='meta')
    lines = [f'{name} {digest(weight)}' for name, weight in weights.items()]
    found = hashlib.sha256('\n'.join(lines).encode()).digest()
    return torch.tensor([float(byte) for byte in found])


def remembered_hash(member: nn.Module, known: dict[str, Any]) -> Tensor:
    """Give a member's hash; compute it if a weight was written or replaced.

    Some averages of weights ask for the state in every iteration.

    Args:
        member: the member.
        known: what the last call has found, which this one updates.
    """
    tensors = map(_local, member.state_dict().values())
    state = [(t.data_ptr(), t._version, t.dtype) for t in tensors]
    if known.get('state') != state:
        known.update(state=state, hash=weight_hash(member))
    return known['hash'].clone()


def _local(weight: Tensor) -> Tensor:
    """Give what this process holds of a weight that FSDP may shard."""
    return weight.to_local() if isinstance(weight, DTensor) else weight

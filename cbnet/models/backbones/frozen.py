"""Frozen members: their mode, their copies, and files that leave them out.

A checkpoint may name a frozen member by a hash of its weights, which then
come from the member's ``init_cfg``.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserValueError
from ...pretrained import init_member, names_a_file
from ..members import MemberAdapter, is_frozen, settings_of
from ..members.weight_hash import remembered_hash, weight_hash

#: the name, below a member's, of the hash that stands for its weights
HASH = 'sha256'


class FrozenMembers(nn.Module):
    """A base of ``CompositeBackbone``: what its frozen members need."""

    adapters: list[MemberAdapter]
    members: nn.ModuleList
    frozen: bool
    _names: list[frozenset[str]]

    def train(self, mode: bool = True) -> 'FrozenMembers':
        """Switch modes; what is frozen stays in eval mode."""
        super().train(mode and not self.frozen)
        for adapter in filter(is_frozen, self.adapters):
            adapter.backbone.eval()
            if adapter.cache is not None:
                adapter.cache.forget(adapter)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> 'FrozenMembers':
        """Copy the composite; copies share the numbers of frozen members.

        The averages of EMA and SWA are copies, made before a run loads its
        weights, and need no second frozen member.
        """
        for adapter in filter(is_frozen, self.adapters):
            for p in adapter.backbone.parameters():
                memo[id(p)] = nn.Parameter(p.detach(), requires_grad=False)
            for buffer in adapter.backbone.buffers():
                memo[id(buffer)] = buffer.detach()
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Give the weights, with hashes of members that are not saved."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get('prefix', '')
        for k, adapter in enumerate(self.adapters):
            settings = settings_of(adapter)
            if settings is not None and not settings.save_frozen:
                below = f'{prefix}members.{k}.'
                for name in [n for n in state if n.startswith(below)]:
                    del state[name]
                state[below + HASH] = self._hash(k)
        return state

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        """Put members that a file names by a hash into what is loaded."""
        for k, member in enumerate(self.members):
            below = f'{prefix}members.{k}.'
            recorded = state_dict.pop(below + HASH, None)
            if recorded is not None:
                self._verify(k, recorded)
                own = member.state_dict()
                state_dict.update({below + n: w for n, w in own.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _hash(self, k: int) -> Tensor:
        """Give a member's hash; compute it if its weights were written."""
        known = vars(self).setdefault('_hashes', {}).setdefault(k, {})
        return remembered_hash(self.members[k], known)

    def _verify(self, k: int, recorded: Tensor) -> None:
        """See that a member has the weights that a file names.

        Raises:
            ValueError: it has others, also after its ``init_cfg``.
        """
        member = self.members[k]
        init_cfg = getattr(member, 'init_cfg', None)
        if _is_of(member, recorded):
            return
        if names_a_file(init_cfg):
            init_member(member, self._names[k], f'member {k}')
            if _is_of(member, recorded):
                return
            has = f'those of init_cfg.checkpoint={init_cfg["checkpoint"]!r}'
        else:
            has = 'others, and its init_cfg names no file'
        raise UserValueError(
            f'the checkpoint leaves out the frozen weights of member {k} '
            f'(save_frozen=False) and names them by the hash '
            f'{_text(recorded)}, but this member has {has}; give the file '
            f'that was used in training as init_cfg of the backbone of '
            f'member {k}'
        )


def expected_weights(
    model: nn.Module, weights: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Give a model's weights in the form in which a file has them.

    Args:
        model: a model, which may have composite backbones.
        weights: the weights of the file, in which a frozen member may be
            left out, whatever the model's own settings are.
    """
    own = model.state_dict()
    for name, module in model.named_modules():
        if not isinstance(module, FrozenMembers):
            continue
        start = f'{name}.' if name else ''
        for k, member in enumerate(module.members):
            below = f'{start}members.{k}.'
            for key in [n for n in own if n.startswith(below)]:
                del own[key]
            if below + HASH in weights:
                own[below + HASH] = module._hash(k)
            else:
                member.state_dict(destination=own, prefix=below)
    return own


def _is_of(member: nn.Module, recorded: Tensor) -> bool:
    return torch.equal(weight_hash(member), recorded.detach().float().cpu())


def _text(recorded: Tensor) -> str:
    numbers = recorded.detach().float().flatten()[:8].tolist()
    return ''.join(f'{round(number) % 256:02x}' for number in numbers)

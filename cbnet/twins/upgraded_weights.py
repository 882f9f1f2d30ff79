"""The weights of a detector with a new assistant, and without it again."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..checkpoints.fit import NEEDLESS
from ..errors import UserError, UserValueError
from ..messages import one_line
from ..pretrained import init_member
from .assistants import Assistant
from .trained import CONNECTIONS, MEMBERS, Detector


def start_weights(
    detector: Detector,
    weights: Mapping[str, Tensor],
    model: nn.Module,
    assistant: Assistant,
) -> dict[str, Tensor]:
    """Put the weights of detector and assistant under the upgraded names.

    Args:
        detector: the detector.
        weights: its trained weights.
        model: the model of the config that ``write_config`` wrote.
        assistant: the assistant, which names its weights.

    Raises:
        ValueError: the weights of the assistant cannot be had, or do not fit.
    """
    moved = {
        f'{MEMBERS}1.{name.removeprefix(detector.prefix)}'
        if name.startswith(detector.prefix)
        else name: value
        for name, value in weights.items()
    }
    member = model.backbone.members[0]
    member.init_cfg = ConfigDict(assistant.init_cfg)
    title = 'the assistant'
    try:
        init_member(member, frozenset(member.state_dict()), title)
    except (UserError, OSError) as error:  # a download may fail
        reason = one_line(error).removeprefix(f'{title}: ')
        raise UserValueError(
            f'the weights of --assistant {assistant.name} were not loaded: '
            f'{reason}; give another file with --assistant-weights'
        ) from error
    model.load_state_dict(moved, strict=False)
    found = model.state_dict()
    lost = [
        name
        for name in moved
        if name.startswith(MEMBERS)
        and name not in found
        and not NEEDLESS.search(name)
    ]
    if lost:
        raise UserValueError(
            f'{detector.name}: as a member, its backbone has no {lost[0]}'
        )
    return found


def without_assistants(
    weights: Mapping[str, Tensor],
    detector: Detector,
    backbone: Mapping[str, Any],
) -> dict[str, Tensor]:
    """Put the weights of an upgraded detector under their names before.

    Args:
        weights: the weights of the upgraded detector.
        detector: the detector before the upgrade.
        backbone: the config of the upgraded backbone.
    """
    lead = f'{MEMBERS}{backbone.get("num_members", 2) - 1}.'
    return {
        name.replace(lead, detector.prefix, 1): value
        for name, value in weights.items()
        if name.startswith(lead) or not name.startswith((MEMBERS, CONNECTIONS))
    }

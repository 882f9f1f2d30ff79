"""The detectors of a battle, fitted to the maps of any lead."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.config import ConfigDict

from ..config_files import find_config, read_config
from ..datasets.walking import walk_dicts
from ..errors import UserValueError
from ..messages import listed
from ..models.members.base import StageSpec

_LEAST = 8  # the least stride that one-stage detectors read


@dataclass(frozen=True)
class Head:
    """A detector without its backbone.

    Attributes:
        config: the config that its model is taken from.
        masks: whether it predicts masks.
        maps: the number of maps that its neck reads; None: all there are.
        outs: the number of maps that its neck gives.
        finest: the least stride of a map that it reads.
    """

    config: str
    masks: bool = False
    maps: int | None = None
    outs: int = 5
    finest: int = 4


_MODELS = 'mmdet::_base_/models'
HEADS = {
    'mask-rcnn': Head(f'{_MODELS}/mask-rcnn_r50_fpn.py', masks=True),
    'mask-rcnn-small': Head(
        'cbnet::_base_/models/mask_rcnn_small.py', masks=True
    ),
    'faster-rcnn': Head(f'{_MODELS}/faster-rcnn_r50_fpn.py'),
    'faster-rcnn-small': Head('cbnet::_base_/models/faster_rcnn_small.py'),
    'cascade-mask-rcnn': Head(
        'cbnet::_base_/models/cascade_mask_rcnn_4conv1fc.py', masks=True
    ),
    'retinanet': Head(f'{_MODELS}/retinanet_r50_fpn.py', finest=_LEAST),
    'rtmdet': Head(
        'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
        maps=3,
        outs=3,
        finest=_LEAST,
    ),
    'dino': Head(
        'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
        outs=4,
        finest=_LEAST,
    ),
}


def fitted_model(
    name: str, specs: Sequence[StageSpec], title: str
) -> ConfigDict:
    """Take a detector's model, and fit its neck and heads to a backbone.

    Its neck reads the last map of each stride. From the one map of a plain
    ViT a simple feature pyramid is made; its heads have layer norms.

    Args:
        name: a key of ``HEADS``.
        specs: the stages of the lead.
        title: the entry, for errors.

    Returns:
        The config of the model. Its ``backbone`` has only ``out_indices``,
        those that the neck reads.

    Raises:
        ValueError: the lead has not the maps that the detector reads.
    """
    head = HEADS[name]
    model = read_config(find_config(head.config), head.config).model
    last = {spec.out_stride: i for i, spec in enumerate(specs)}
    if len(last) == 1:
        stages = [max(last.values())]
        _plain_neck(model, head, specs[-1])
        _layer_norms(model)
        _pad(model, 32)
        strides = [head.finest * 2**i for i in range(head.outs)]
    else:
        stages = [i for stride, i in last.items() if stride >= head.finest]
        strides = [specs[i].out_stride for i in stages]
        doubling = all(
            b == 2 * a for a, b in zip(strides, strides[1:], strict=False)
        )
        if not doubling or len(stages) < (head.maps or 1):
            raise UserValueError(
                f'{title} has maps with the strides {listed(last)}, of which '
                f'--head {name} cannot make a pyramid; it takes '
                f'{head.maps or "maps"} from stride {head.finest} on, each '
                f'stride twice the one before, or the maps of a ViT'
            )
        stages = stages[: head.maps]
        channels = [specs[i].out_channels for i in stages]
        model.neck.update(in_channels=channels, num_outs=head.outs)
        model.neck.pop('start_level', None)
        if name == 'rtmdet':  # CSPNeXtPAFPN gives what it reads
            model.neck.pop('num_outs')
        _pad(model, strides[len(stages) - 1])
        strides = [strides[0] * 2**i for i in range(head.outs)]
    _set_strides(model, strides)
    model.backbone = ConfigDict(out_indices=tuple(stages))
    return model


def _plain_neck(model: ConfigDict, head: Head, spec: StageSpec) -> None:
    """Make a pyramid from one map, with the channels that the heads read."""
    made = min(head.outs, 4) if head.finest < _LEAST else 3
    model.neck = ConfigDict(
        type='SimpleFeaturePyramid',
        in_channels=spec.out_channels,
        out_channels=model.neck.out_channels,
        stride=spec.out_stride,
        strides=[head.finest * 2**i for i in range(made)],
        num_outs=head.outs,
    )


def _pad(model: ConfigDict, stride: int) -> None:
    """Pad images so that each map is twice as large as the next."""
    cfg = model.data_preprocessor
    cfg.pad_size_divisor = max(stride, cfg.get('pad_size_divisor') or 1)


def _layer_norms(model: ConfigDict) -> None:
    """Give the RoI heads layer norms, as in ViTDet."""
    for part in walk_dicts(model.get('roi_head') or {}):
        norm = part.get('norm_cfg')
        if norm and norm.get('type') == 'SyncBN':
            part['norm_cfg'] = ConfigDict(type='GN', num_groups=1)


def _set_strides(model: ConfigDict, strides: list[int]) -> None:
    """Tell all anchors and RoI extractors the strides of the pyramid."""
    for part in walk_dicts(model):
        generator = part.get('anchor_generator')
        if generator and 'strides' in generator:
            generator['strides'] = strides
        if 'featmap_strides' in part:
            part['featmap_strides'] = strides[:4]

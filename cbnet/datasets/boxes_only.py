"""Let a config of masks learn boxes alone, for data without masks."""

from mmengine.config import Config

from ..errors import UserValueError
from .walking import loads, walk_dicts

#: a small config of boxes, for messages
CONFIG = 'cbnet::cbnet/dual_lite0_boxes.py'
_PARTS = ('mask_roi_extractor', 'mask_head')


def learn_boxes_only(cfg: Config) -> str:
    """Leave out the mask heads of a config, and what loads masks for them.

    Args:
        cfg: the config of a detector that finds boxes first, changed in
            place.

    Returns:
        A line that tells the user what was left out.

    Raises:
        ValueError: the detector needs masks.
    """
    if not loads(cfg.train_dataloader, 'with_mask'):
        return 'boxes only: the config trains no masks anyway'
    heads = [
        part['roi_head']
        for part in walk_dicts(cfg.model)
        if isinstance(part.get('roi_head'), dict)
        and part['roi_head'].get('mask_head')
    ]
    if not heads:
        raise UserValueError(
            f'--boxes-only: model has no roi_head.mask_head that could be '
            f'left out, so the detector cannot do without masks; use a '
            f'config of boxes, such as {CONFIG}'
        )
    for head in heads:
        head.update({key: None for key in _PARTS if key in head})
    for split in ('train', 'val', 'test'):
        for part in walk_dicts(cfg.get(f'{split}_dataloader')):
            if 'with_mask' in part:
                part['with_mask'] = False
    return 'boxes only: mask heads and masks are left out, as requested'

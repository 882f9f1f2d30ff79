"""Ask for the packages that parts of mmdet need, before anything is built.

mmdet asks when it builds them: the data sets after the model, the metrics
after a whole epoch of training.
"""

from importlib.util import find_spec

from mmengine.config import Config

from ..errors import UserValueError
from ..type_names import type_name
from .walking import walk_dicts

_PANOPTIC = 'panopticapi'
_LVIS = 'lvis'
#: type of a transform, data set or metric -> the package that it needs
_NEEDED = dict(
    LoadPanopticAnnotations=_PANOPTIC,
    CocoPanopticMetric=_PANOPTIC,
    LVISMetric=_LVIS,
    LVISFixedAPMetric=_LVIS,
    LVISDataset=_LVIS,
    LVISV05Dataset=_LVIS,
    LVISV1Dataset=_LVIS,
    MOTChallengeMetric='trackeval',
)
_INSTALLED_BY = {
    _PANOPTIC: 'git+https://github.com/cocodataset/panopticapi.git',
    _LVIS: 'git+https://github.com/lvis-dataset/lvis-api.git',
    'trackeval': 'git+https://github.com/JonathonLuiten/TrackEval.git',
}


def check_packages(cfg: Config, *splits: str) -> None:
    """See that the packages for some splits are there.

    Args:
        cfg: the config.
        *splits: the splits: ``train``, ``val`` and ``test``.

    Raises:
        ValueError: names the part of the config, the package, and the command
            that installs it.
    """
    for split in splits:
        for section in ('dataloader', 'evaluator'):
            key = f'{split}_{section}'
            for part in walk_dicts(cfg.get(key)):
                _check(key, type_name(part))


def _check(key: str, name: str) -> None:
    package = _NEEDED.get(name)
    if package is None or find_spec(package) is not None:
        return
    instead = ''
    if key.endswith('evaluator'):
        instead = ", or evaluate with another metric, such as 'CocoMetric'"
    raise UserValueError(
        f'{key}: {name} needs the package {package}, which is not installed; '
        f'pip install {_INSTALLED_BY[package]}{instead}'
    )

"""Check the settings of a model and of a run before anything is built.

mmengine and mmdet take most numbers unchecked: a text instead of one would
end in the first step of a training, without the name of its key.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor

from ..arguments import check_kinds, check_known, check_value
from ..config_files import check_teacher

_Settings = dict[str, Any]
_Count, _Natural = Annotated[int, Ge(1)], Annotated[int, Ge(0)]
_Positive = Annotated[float, Gt(0)]
_Numbers = float | Sequence[float]
_PREPROCESSOR = dict(
    mean=Sequence[float] | None,
    std=Sequence[_Positive] | None,
    pad_size_divisor=_Count,
    pad_value=_Numbers,
    mask_pad_value=int,
    seg_pad_value=int,
    pad_mask=bool,
    pad_seg=bool,
    bgr_to_rgb=bool,
    rgb_to_bgr=bool,
    boxtype2tensor=bool,
    non_blocking=bool | None,
    batch_augments=Sequence[_Settings] | None,
)
#: numbers at any depth of the train_cfg and the test_cfg of a model
_THRESHOLDS = dict(
    score_thr=float,
    iou_threshold=float,
    iou_thr=float,
    mask_thr_binary=float,
    min_bbox_size=float,
    max_per_img=int,
    nms_pre=int,
    pos_iou_thr=_Numbers,
    neg_iou_thr=_Numbers,
    min_pos_iou=float,
    ignore_iof_thr=float,
    num=int,
    pos_fraction=float,
    neg_pos_ub=float,
    add_gt_as_proposals=bool,
    allowed_border=float,
    pos_weight=float,
)
_WRAPPER = dict(
    optimizer=_Settings,
    accumulative_counts=_Count,
    clip_grad=_Settings | None,
    paramwise_cfg=_Settings | None,
)
_OPTIMIZER = dict(
    lr=Annotated[float, Ge(0)] | None,
    weight_decay=Annotated[float, Ge(0)],
    momentum=float,
    betas=Sequence[float],
    eps=_Numbers,
    nesterov=bool,
    amsgrad=bool,
)
_CLIPPED = dict(
    max_norm=_Positive,
    norm_type=float | Literal['inf'],
    clip_value=_Positive,
    error_if_nonfinite=bool,
)
_PARAMETERS = dict(
    lr_mult=float,
    decay_mult=float,
    bias_lr_mult=float,
    bias_decay_mult=float,
    norm_decay_mult=float,
    flat_decay_mult=float,
    dwconv_decay_mult=float,
    dcn_offset_lr_mult=float,
    decay_rate=float,
    num_layers=int,
    bypass_duplicate=bool,
    custom_keys=_Settings,
)
_SCHEDULER = dict(
    type=Any,
    begin=_Natural,
    end=_Natural,
    by_epoch=bool,
    convert_to_iter_based=bool,
    milestones=Sequence[int],
    gamma=float,
    factor=float,
    start_factor=float,
    end_factor=float,
    eta_min=float | None,
    eta_min_ratio=float | None,
    T_max=int | None,
    step_size=int,
    power=float,
)
_LOOP = dict(
    max_iters=_Natural,
    max_epochs=_Natural,
    val_begin=_Natural,
    val_interval=Annotated[float, Ge(1)],  # mmdet's V3Det has 57300.0
)
_HOOK = dict(
    interval=int,
    max_keep_ckpts=int,
    by_epoch=bool,
    save_last=bool,
    save_optimizer=bool,
    save_param_scheduler=bool,
    draw=bool,
    show=bool,
    score_thr=float,
)
_Level = Literal[
    'CRITICAL', 'FATAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG', 'NOTSET'
]
_PLAIN = dict(
    load_from=str | None,
    resume=bool | None,
    work_dir=str | None,
    log_level=int | _Level | None,
    default_scope=str | None,
)
_SECTIONS = dict(
    log_processor=dict(by_epoch=bool, window_size=_Count),
    randomness=dict(seed=int | None, deterministic=bool, diff_rank_seed=bool),
    env_cfg=dict(
        cudnn_benchmark=bool,
        mp_cfg=_Settings | None,
        dist_cfg=_Settings | None,
        resource_limit=_Count,
    ),
    auto_scale_lr=dict(enable=bool, base_batch_size=_Positive),
)

_PROCESSES = dict(
    mp_start_method=Literal['fork', 'spawn', 'forkserver'],
    opencv_num_threads=int,
)


def check_model(cfg: Config) -> None:
    """Check the numbers and files in the settings of the config's model.

    Raises:
        ValueError: a value is out of range, or the config of a teacher is
            missing.
        TypeError: a value is of another kind, such as a text.
    """
    model = cfg.get('model')
    if not isinstance(model, dict):
        return  # whatever needs a model says so
    for key, part in _parts('model', model):
        if _is_preprocessor(part.get('type')):
            check_known(key, _PREPROCESSOR, part)
    for key, part in _parts('model', model):
        if key.endswith(('.train_cfg', '.test_cfg')):
            for place, inner in _parts(key, part):
                check_known(place, _THRESHOLDS, inner)
    check_kinds('model', MODELS, model)
    check_teacher(model)


def check_training(cfg: Config) -> None:
    """Check the settings of the config's training, except its dataloader.

    Raises:
        ValueError: a value is out of range.
        TypeError: a value is of another kind, such as a text.
    """
    for name, kind in _PLAIN.items():
        check_value(name, kind, cfg.get(name))
    check_known('train_cfg', _LOOP, _section(cfg, 'train_cfg'))
    wrapper = _section(cfg, 'optim_wrapper')
    # A wrapper of several optimizers holds one for each name.
    for key, one in _parts('optim_wrapper', wrapper):
        if 'optimizer' in one:
            _check_wrapper(key, one)
    schedulers = cfg.get('param_scheduler')
    several = _Settings | Sequence[_Settings] | None
    check_value('param_scheduler', several, schedulers)
    for key, one in _parts('param_scheduler', schedulers):
        check_known(key, _SCHEDULER, one)
    for name, hook in _section(cfg, 'default_hooks').items():
        if isinstance(hook, dict):
            check_known(f'default_hooks.{name}', _HOOK, hook)
    for name, kinds in _SECTIONS.items():
        check_known(name, kinds, _section(cfg, name))
    processes = _section(cfg, 'env_cfg').get('mp_cfg') or {}
    check_known('env_cfg.mp_cfg', _PROCESSES, processes)


def _check_wrapper(key: str, wrapper: _Settings) -> None:
    check_known(key, _WRAPPER, wrapper)
    check_known(f'{key}.optimizer', _OPTIMIZER, wrapper['optimizer'])
    clipped = wrapper.get('clip_grad') or {}
    check_known(f'{key}.clip_grad', _CLIPPED, clipped)
    parameters = wrapper.get('paramwise_cfg') or {}
    for place, one in _parts(f'{key}.paramwise_cfg', parameters):
        check_known(place, _PARAMETERS, one)


def _section(cfg: Config, name: str) -> Mapping[str, Any]:
    check_value(name, _Settings | None, cfg.get(name))
    return cfg.get(name) or {}


def _parts(key: str, node: Any) -> Iterator[tuple[str, _Settings]]:
    """Yield every dict at or below a node, with its place."""
    if isinstance(node, dict):
        yield key, node
        for name, value in node.items():
            yield from _parts(f'{key}.{name}', value)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _parts(f'{key}[{i}]', value)


def _is_preprocessor(kind: Any) -> bool:
    if isinstance(kind, str):
        kind = MODELS.module_dict.get(kind.removeprefix('mmdet.'))
    return isinstance(kind, type) and issubclass(kind, BaseDataPreprocessor)

"""The ways on which a file of weights reaches this package's users."""

import contextlib
import io
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmdet.apis import DetInferencer
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, load_checkpoint

from cbnet.commands.main import main
from cbnet.compat.safe_loading import load_safely
from cbnet.errors import UserError
from cbnet.inference import Inferencer
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite
from tests.test_commands.converter_runs import make_detector
from tests.test_converters.published_layout import publish
from tests.test_engine.small_run import small_config, small_run

from .corpus import Content

numbers = itertools.count()


@dataclass(frozen=True)
class LoadingPath:
    """One way from a file to its use.

    Attributes:
        content: the name of the content that its honest file has.
        use: takes the file and a new folder.
    """

    content: str
    use: Callable[[Path, Path], Any]


PATHS: dict[str, LoadingPath] = {}


def path(content: str) -> Callable[[Callable], Callable]:
    def register(use: Callable) -> Callable:
        name = use.__name__
        PATHS[name] = LoadingPath(content, use)
        return use

    return register


def make_contents(folder: Path) -> dict[str, Content]:
    """Make the contents of honest files, by name."""
    small_run(folder, steps=1).train()
    small = torch.load(folder / 'iter_1.pth')
    small['meta']['cfg'] = small['message_hub']['runtime_info']['cfg'] = (
        small_inference().pretty_text
    )
    generator = torch.Generator().manual_seed(2)
    backbone = build_model(TINY_MEMBERS['resnet']).state_dict()
    for value in backbone.values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.1)
    meta = dict(
        epoch=1, iter=4, seed=1, cfg='', dataset_meta=dict(classes=('a', 'b'))
    )
    published = make_detector(folder, 'FasterRCNN')[1].state_dict()
    return dict(
        small=small,
        backbone=dict(
            meta=meta,
            state_dict={f'backbone.{n}': w for n, w in backbone.items()},
        ),
        published=dict(meta=meta, state_dict=publish(published)),
    )


@path('backbone')
def loader(file: Path, folder: Path) -> Any:
    return CheckpointLoader.load_checkpoint(str(file), 'cpu', 'silent')


@path('backbone')
def load_into_a_model(file: Path, folder: Path) -> Any:
    model = torch.nn.Module()
    model.backbone = build_model(TINY_MEMBERS['resnet'])
    load_checkpoint(model, str(file), logger='silent')


@path('backbone')
def init_cfg_of_mmdet(file: Path, folder: Path) -> Any:
    init = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
    MODELS.build(dict(TINY_MEMBERS['resnet'], init_cfg=init)).init_weights()


@path('backbone')
def member(file: Path, folder: Path) -> Any:
    cfg = tiny_composite()
    cfg['member']['init_cfg'] = dict(type='Pretrained', checkpoint=str(file))
    build_model(cfg).init_weights()


@path('backbone')
def load_safely_itself(file: Path, folder: Path) -> Any:
    return load_safely(file)


@path('small')
def load_from(file: Path, folder: Path) -> Any:
    small_run(folder, steps=1, load_from=str(file)).train()


@path('small')
def resume(file: Path, folder: Path) -> Any:
    small_run(folder, steps=2, load_from=str(file), resume=True).train()


def small_inference() -> Config:
    loader = dict(
        dataset=dict(
            type='CocoDataset', pipeline=[dict(type='LoadImageFromFile')]
        )
    )
    return small_config(
        '.',
        test_dataloader=loader,
        visualizer=dict(type='DetLocalVisualizer'),
    )


@path('small')
def infer(file: Path, folder: Path) -> Any:
    Inferencer(small_inference(), str(file), 'cpu')


@path('small')
def det_inferencer(file: Path, folder: Path) -> Any:
    DetInferencer(small_inference(), str(file), device='cpu')


@path('small')
def weights_alone(file: Path, folder: Path) -> Any:
    DetInferencer(weights=str(file), device='cpu')


def command(*words: Any) -> None:
    """Run a command in this process; raise what it says on its last line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main([*map(str, words)])
    except SystemExit as end:
        if end.code:
            raise UserError(said.getvalue().splitlines()[-1]) from None


@path('backbone')
def replicate_members(file: Path, folder: Path) -> Any:
    out = folder / 'out' / 'out.pth'
    command('replicate-members', file, out, '--num-members', 2)


@path('backbone')
def average_checkpoints(file: Path, folder: Path) -> Any:
    out = folder / 'out' / 'out.pth'
    command('average-checkpoints', file, file, '--out', out)


@path('published')
def published_to_cbnet(file: Path, folder: Path) -> Any:
    out = folder / 'out' / 'out.pth'
    config = folder.parent / 'FasterRCNN.py'
    command('published-to-cbnet', file, out, '--config', config)


def quiet() -> None:
    """Silence mmengine, whose logs would be most of the output."""
    logging.disable(logging.WARNING)

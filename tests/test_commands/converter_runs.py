"""Tiny detectors for the converters, and how to run one in this process."""

import importlib
from pathlib import Path

import torch

from cbnet.commands.main import main
from cbnet.testing import build_model, tiny_composite, tiny_detector

ROOT = Path(__file__).parents[2]
FAMILIES = {
    'FasterRCNN': dict(member='resnet', shared_stages=1),
    'CascadeRCNN': dict(member='res2net', shared_stages=1),
    'MaskRCNN': dict(member='swin', shared_stages=0),
}


def run_converter(monkeypatch, capsys, name, *arguments, **settings):
    """Run a converter; give exit status, output and lines of errors.

    Args:
        monkeypatch: pytest's.
        capsys: pytest's.
        name: of the file in tools/model_converters.
        arguments: of its command line.
        settings: names of the tool's module that are set for it.
    """
    tool = importlib.import_module(f'cbnet.commands.{name}')
    capsys.readouterr()
    with monkeypatch.context() as patch:
        for key, value in settings.items():
            patch.setattr(tool, key, value)
        try:
            main([name.replace('_', '-'), *map(str, arguments)])
            status = 0
        except SystemExit as stop:
            status = stop.code
    found = capsys.readouterr()
    return status, found.out, found.err.splitlines()


def make_detector(folder, base, backbone=None, **options):
    """Make a tiny detector: its config's path and its random weights."""
    backbone = backbone or tiny_composite(**(FAMILIES[base] | options))
    cfg = tiny_detector(base, backbone)
    specs = build_model(backbone).adapters[-1].specs
    cfg['neck']['in_channels'] = [spec.out_channels for spec in specs]
    path = folder / f'{base}.py'
    path.write_text(f"default_scope = 'mmdet'\nmodel = {cfg}\n")
    return path, randomised(build_model(cfg))


def randomised(model):
    generator = torch.Generator().manual_seed(3)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator))
    return model

"""Show what each connection adds, as ``cbnet show-connections``."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger

from ..analysis.connection_figure import draw_connections
from ..analysis.connection_maps import connection_maps
from ..errors import UserValueError
from ..inference import Inferencer
from ..models.backbones import CompositeBackbone
from .command_line import load_config, require_section


def run(args: Namespace) -> None:
    """Run the composite and draw the figure."""
    out = args.out or Path(f'connections_{args.image.stem}.png')
    cfg = load_config(args)
    require_section(cfg, 'test_dataloader', 'its pipeline')
    # At its usual level, mmengine logs the origin of each parameter.
    MMLogger.get_current_instance().setLevel('WARNING')
    inferencer = Inferencer(cfg, args.checkpoint, args.device)
    data = inferencer.read(args.image)
    composite = getattr(inferencer.model, 'backbone', None)
    if not isinstance(composite, CompositeBackbone):
        raise UserValueError(
            f'{args.config}: model.backbone is {type(composite).__name__}, '
            f'not a CompositeBackbone'
        )
    batch = inferencer.batch([data])
    inputs = inferencer.model.data_preprocessor(batch)['inputs']
    members = connection_maps(composite, inputs)
    figure = draw_connections(
        _as_given(batch['inputs'][0], inputs), members, _title(args, composite)
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)

    for k, member in enumerate(members[1:], start=1):
        strengths = ', '.join(
            f'stage {i}: {added.strength:.3g}'
            for i, added in sorted(member.added.items())
        )
        print(f'connection {k - 1} -> {k}, strength at {strengths}')
    print(f'written: {out}')


def _as_given(image: torch.Tensor, inputs: torch.Tensor) -> np.ndarray:
    """Pad the pipeline's BGR image (3, H, W) as the model does, as RGB."""
    height, width = inputs.shape[-2:]
    pixels = image.new_zeros(3, height, width)
    pixels[:, : image.shape[1], : image.shape[2]] = image.flip(0)
    return pixels.permute(1, 2, 0).byte().numpy()


def _title(args: Namespace, composite: CompositeBackbone) -> str:
    weights = Path(args.checkpoint).name if args.checkpoint else 'untrained'
    return (
        f'{args.image.name} through {Path(args.config).name} ({weights}): '
        f'{composite.num_members} members, {composite.style}'
    )

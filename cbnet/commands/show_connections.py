"""Draw what each member of a composite computes and what connections add.

The figure for an image has a row for each member, with the map of each stage.
Between them, a row for each connection shows what it adds to the stage inputs
of the next member, and how strong that is.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger

from ..analysis.connection_figure import draw_connections
from ..analysis.connection_maps import connection_maps
from ..errors import UserError
from ..inference import Inferencer
from ..models.backbones import CompositeBackbone
from .command_line import (
    config_parser,
    load_config,
    parse,
    require_file,
    require_section,
)

EXAMPLES = """examples:
  cbnet show-connections \\
      configs/cbnet/quickstart.py data/shapes/val/000001.jpg \\
      --checkpoint work_dirs/quickstart/trained/iter_320.pth
  cbnet show-connections my.py photo.jpg \\
      --out start.png --cfg-options model.backbone.style=fcc
"""


def describe() -> ArgumentParser:
    """Describe the command line."""
    parser = config_parser(
        'show-connections', 'CONFIG IMAGE', __doc__, EXAMPLES
    )
    parser.add_argument('image', type=Path, help='the image to look at')
    parser.add_argument(
        '--checkpoint',
        metavar='FILE',
        help='file or address of the weights (default: those that training '
        'starts from; the connections of CNNs then add zero)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.png',
        help='the figure (default: ./connections_<name of IMAGE>.png)',
    )
    parser.add_argument(
        '--device',
        metavar='NAME',
        help='cpu, cuda:0, ... (default: a GPU if there is one)',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, run the composite and draw the figure."""
    parser = describe()
    args = parse(parser, argv)
    if args.checkpoint:
        require_file(parser, '--checkpoint', args.checkpoint)
    if not args.image.is_file():
        parser.error(f'no file {args.image}')
    out = args.out or Path(f'connections_{args.image.stem}.png')
    if out.suffix.lower() != '.png':
        parser.error(f'--out: {out} must end in .png')
    cfg = load_config(parser, args)
    require_section(parser, cfg, 'test_dataloader', 'its pipeline')
    # At its usual level, mmengine logs the origin of each parameter.
    MMLogger.get_current_instance().setLevel('WARNING')
    try:
        inferencer = Inferencer(cfg, args.checkpoint, args.device)
        data = inferencer.read(args.image)
    except UserError as error:
        parser.error(str(error))
    composite = getattr(inferencer.model, 'backbone', None)
    if not isinstance(composite, CompositeBackbone):
        parser.error(
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

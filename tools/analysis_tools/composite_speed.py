r"""Compare composites with their single member, time by time and MAC by MAC.

ResNet-50, Swin-T, ConvNeXt-T and ViT-S/16 alone, as mmdet and timm compute
them, and composites of K copies: the ratio of the times of a forward pass,
and that ratio over the ratio of the multiply-accumulates. A ratio per MAC of
1 means that the composite costs its arithmetic.

Examples:
  python tools/analysis_tools/composite_speed.py --out speed
  python tools/analysis_tools/composite_speed.py --device cuda --dtype bf16 \
      --shape 800 1280 --rounds 50 --out speed_gpu
"""

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from dataclasses import replace
from pathlib import Path

from cbnet_command import prepare

NAMES = ('ResNet-50', 'Swin-T', 'ConvNeXt-T', 'ViT-S/16')


def make_parser() -> ArgumentParser:
    """Make the parser."""
    parser = ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--backbones', nargs='+', choices=NAMES, default=NAMES, metavar='NAME',
        help=f'some of {", ".join(NAMES)} (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--members', nargs='+', type=int, default=[2, 3], metavar='K',
        help='the numbers of members (default: 2 3)',
    )  # fmt: skip
    parser.add_argument('--shape', nargs=2, type=int, default=[320, 480])
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', default='fp32')
    parser.add_argument('--train', action='store_true')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--clock', choices=['wall', 'cpu'], default='wall')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='STEM',
        help='writes STEM.json, STEM.md and STEM.png',
    )  # fmt: skip
    return parser


def main(args: Namespace) -> None:
    """Measure all, and write."""
    from cbnet.analysis.benchmark.candidates import Setting, make_candidate
    from cbnet.analysis.benchmark.comparing import compare
    from cbnet.analysis.benchmark.figure import draw
    from cbnet.analysis.benchmark.members import detector_config
    from cbnet.analysis.benchmark.report import Point, as_json, markdown

    setting = Setting(
        tuple(args.shape), args.batch, args.device, args.dtype, args.train,
        'backbone', args.clock,
    )  # fmt: skip
    points = []
    for name in args.backbones:
        candidates = [make_candidate(name, detector_config(name), setting)]
        candidates += [
            make_candidate(f'{k} x {name}', detector_config(name, k), setting)
            for k in args.members
        ]
        found = compare(candidates, args.rounds, part_passes=2)
        points.append(Point(setting, found, name))
        print(markdown(points[-1:]), flush=True)
    results = [one for point in points for one in point.results]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(points, 'backbone'), indent=1)
    args.out.with_suffix('.json').write_text(text + '\n')
    args.out.with_suffix('.md').write_text(markdown(points))
    figure = draw([replace(points[0], results=results)])
    figure.savefig(args.out.with_suffix('.png'), dpi=120)


if __name__ == '__main__':
    given = make_parser().parse_args()
    prepare()
    main(given)

"""Write the composite twin of a config, as ``cbnet compose``."""

from argparse import Namespace
from pathlib import Path

from torch import nn

from ..messages import command
from ..twins import TwinOptions, assisted_part, compose, default_name


def run(args: Namespace) -> None:
    """Write the twin."""
    weights = args.assistance
    if weights is not None and len(weights) == 1:
        weights = weights[0]
    options = TwinOptions(
        members=args.members,
        style=args.style,
        shared_stages=args.shared_stages,
        weights=weights,
        proposals=args.proposals,
        at=args.at,
    )
    out = args.out or Path(default_name(args.config, args.members))
    model, remarks = compose(args.config, out, options)
    for remark in remarks:
        print(f'note: {remark}')
    print(f'built: {describe(model)}')
    print(f'wrote {out}')
    print(f'train: {command("cbnet", "train", out)}')


def describe(model: nn.Module) -> str:
    """Describe a twin in one line."""
    detector = assisted_part(model)
    composite = detector.backbone
    weights = ', '.join(f'{w:g}' for w in detector.assistant_weights)
    held = '' if detector is model else f'{type(model).__name__} with '
    return (
        f'{held}{type(detector).__name__}, {composite.num_members} x '
        f'{type(composite.members[0]).__name__}, style {composite.style}, '
        f'shared stages {composite.shared_stages}, assistance '
        f'{weights or "none"}, proposals {detector.proposals}'
    )

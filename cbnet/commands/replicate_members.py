"""Put a detector's weights into every member."""

from argparse import Namespace
from collections import Counter

from torch import Tensor

from ..checkpoints.weight_files import (
    find_weights,
    kept_meta,
    read_file,
    write_weights,
)
from ..config_files import find_config, read_config
from ..converters.replicate import (
    family_of,
    replicate,
    replicate_into,
    take_apart,
)
from ..errors import UserValueError
from ..messages import listed
from ..models.building import build_without_weights
from .overrides import train_from
from .publish import record

PUBLISHED = {'ResNet': 1, 'Swin': 0}


def run(args: Namespace) -> None:
    """Replicate one file and print each step."""
    if (args.config is None) == (args.num_members is None):
        raise UserValueError('give either --config or --num-members')
    if args.config and args.shared_stages != 'published':
        raise UserValueError('--shared-stages: --config already tells it')
    print(f'reading {args.source}', flush=True)
    file = read_file(args.source)
    plain = take_apart(find_weights(file))
    if args.config:
        cfg = read_config(find_config(args.config), args.config)
        weights, report = replicate_into(
            plain, build_without_weights(cfg), args.config
        )
        left = [*report.new, *report.kept]
        left = f'{len(left)} entries ({listed(left)})'
    else:
        stages = args.shared_stages
        if stages == 'published':
            stages = PUBLISHED.get(family_of(plain))
        weights = replicate(plain, args.num_members, stages)
        report = 'without --config, the weights are not compared with a model'
        left = 'all'
    for k, count in enumerate(count_members(weights)):
        print(f'member {k}: {count} entries')
    print(f'neck and heads: {len(plain.rest)} entries')
    if plain.dropped:
        print(f'dropped, of a classifier: {listed(plain.dropped)}')
    print(f'connections, which keep their initial values: {left}')
    print(report)
    outputs = record(cfg, weights) if args.config and plain.rest else None
    write_weights(args.out, weights, kept_meta(file, args.source), outputs)
    print(f'wrote {args.out}')
    start = train_from(args.config or 'CONFIG', args.out)
    print(f'train from it: {start}')


def count_members(weights: dict[str, Tensor]) -> list[int]:
    """Count the entries of each member."""
    counts = Counter(
        name.split('.')[2]
        for name in weights
        if name.startswith('backbone.members.')
    )
    return list(counts.values())

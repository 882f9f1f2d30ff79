"""Files in which one tensor is not what was written, and who notices.

``python -m tests.test_engine.mutated_files`` prints the table, also with what
the recorded outputs alone would notice.
"""

import copy
import math
import random

import torch

from cbnet.checkpoints.fingerprint import (
    changes,
    read_fingerprint,
    with_fingerprint,
)
from cbnet.engine.checkpoint_fit import check_fit
from cbnet.engine.probe import record_outputs
from cbnet.engine.verification import (
    VerificationError,
    verify_outputs,
    verify_weights,
)
from cbnet.errors import UserError
from cbnet.testing import build_model, tiny_composite, tiny_detector
from cbnet.text_tables import text_table

DETECTORS = {
    'FasterRCNN': dict(member='resnet', num_members=3, shared_stages=None),
    'MaskRCNN': dict(member='swin', shared_stages=None),
    'RetinaNet': dict(member='resnet_bottleneck', shared_stages=1),
}


def seeded(model, seed=1):
    """Give every tensor numbers that matter, no two of them the same."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            if 'num_batches' in name:
                value.fill_(5)
        elif value.dim() > 1:
            fan_in = value[0].numel()
            value.normal_(0, math.sqrt(2 / fan_in), generator=generator)
        elif name.endswith('running_var'):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith('weight'):  # residual blocks must not add up
            value.uniform_(0.2, 0.6, generator=generator)
        else:
            value.normal_(0, 0.1, generator=generator)
    return model.eval()


def detector_config(base, member, **options):
    """Return the config of a tiny detector with assistance."""
    backbone = tiny_composite(member, **options)
    cfg = tiny_detector(base, backbone)
    specs = build_model(backbone).adapters[-1].specs
    cfg['neck']['in_channels'] = [spec.out_channels for spec in specs]
    return dict(cfg, type='AssistedDetector', base=base)


def written_file(model, outputs=None):
    """Return the content of a file for others."""
    weights = {n: w.clone() for n, w in model.state_dict().items()}
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c')))
    return dict(
        meta=with_fingerprint(meta, weights, outputs), state_dict=weights
    )


def twin_of(name, weights):
    """Return the same weight's name in the next member, or None."""
    if not name.startswith('backbone.members.0.'):
        return None
    twin = name.replace('members.0.', 'members.1.')
    if twin not in weights or weights[twin].shape != weights[name].shape:
        return None
    return None if torch.equal(weights[twin], weights[name]) else twin


def permuted(weights, name):
    value = weights[name]
    weights[name] = value.flatten().flip(0).view_as(value)


def scaled(weights, name):
    value = weights[name]
    by = 1.01 if value.is_floating_point() else 2
    weights[name] = value * by


def zeroed(weights, name):
    weights[name] = torch.zeros_like(weights[name])


def dropped(weights, name):
    del weights[name]


def swapped(weights, name):
    twin = twin_of(name, weights)
    weights[name], weights[twin] = weights[twin], weights[name]


def retyped(weights, name):
    value = weights[name]
    weights[name] = value.half() if value.is_floating_point() else value + 0.0


#: kind -> the change of one tensor, and whether it changes a given one
KINDS = {
    'permuted': (permuted, lambda w, n: w[n].unique().numel() > 1),
    'scaled': (scaled, lambda w, n: w[n].any()),
    'zeroed': (zeroed, lambda w, n: w[n].any()),
    'dropped': (dropped, lambda w, n: True),
    'swapped between members': (swapped, lambda w, n: twin_of(n, w)),
    'of another data type': (retyped, lambda w, n: True),
}


def mutated_files(file, count, generator):
    """Yield (kind, name of the tensor, file), ``count`` of each kind."""
    for kind, (change, applies) in KINDS.items():
        weights = file['state_dict']
        names = [name for name in weights if applies(weights, name)]
        for name in generator.sample(names, count):
            mutated = dict(file, state_dict=dict(weights))
            change(mutated['state_dict'], name)
            yield kind, name, mutated


def at_load(file, model, name):
    """Tell what loading says of a tensor: refused, reported or silent.

    Args:
        file: the content of the file.
        model: the detector that would load it.
        name: the tensor that is not what it was.

    Returns:
        What it says of a file without a fingerprint, and of this file.
    """
    try:
        report = check_fit(file, model, 'a.pth', complete=True)
    except UserError as error:
        assert name in str(error)
        return 'refused', 'refused'
    said = report.cast.keys() | {*report.new, *report.kept}
    alone = 'reported' if name in said else 'silent'
    made = read_fingerprint(file, 'a.pth')
    told = changes(file['state_dict'], file['meta'], made)
    return alone, 'reported' if name in said or name in told else 'silent'


def when_verified(file, name):
    """Tell whether ``--verify`` refuses the weights and names the tensor."""
    try:
        verify_weights(file, 'a.pth')
    except VerificationError as error:
        return 'refused' if name in str(error) else 'refused without a name'
    return 'silent'


def by_outputs(file, model):
    """Tell whether the recorded outputs alone give the file away."""
    changed = copy.deepcopy(model)
    changed.load_state_dict(file['state_dict'], strict=False)
    try:
        made = read_fingerprint(file, 'a.pth')
        verify_outputs(changed, made, 'a.pth')
    except VerificationError:
        return 'refused'
    return 'silent'


def main():
    """Print the table for the 216 files of all tiny detectors."""
    counts = {kind: {} for kind in KINDS}
    for base, options in DETECTORS.items():
        model = seeded(build_model(detector_config(base, **options)))
        file = written_file(model, record_outputs(model))
        for kind, name, mutated in mutated_files(file, 12, random.Random(0)):
            alone, load = at_load(mutated, model, name)
            for when, outcome in (
                ('load alone', alone),
                ('load', load),
                ('--verify', when_verified(mutated, name)),
                ('outputs alone', by_outputs(mutated, model)),
            ):
                row = counts[kind].setdefault(when, {})
                row[outcome] = row.get(outcome, 0) + 1
    titles = ['load alone', 'load', '--verify', 'outputs alone']
    print(  # noqa: T201
        text_table(
            ['kind', *titles],
            [
                [
                    kind,
                    *(
                        ', '.join(f'{n} {o}' for o, n in row[t].items())
                        for t in titles
                    ),
                ]
                for kind, row in counts.items()
            ],
        )
    )


if __name__ == '__main__':
    main()

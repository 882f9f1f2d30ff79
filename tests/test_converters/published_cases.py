"""Golden values of published composites: seeded weights and comparison."""

import json
import zlib
from pathlib import Path

import torch

from cbnet.converters import convert_published, convert_published_backbone
from cbnet.testing import build_model

DATA = Path(__file__).parents[1] / 'data'


def read_cases(name):
    return json.loads((DATA / name).read_text())


def seeded_weights(shapes, seed):
    """Make float64 weights that depend only on (seed, key, shape)."""
    weights = {}
    for key, shape in shapes.items():
        if key.endswith('num_batches_tracked'):
            weights[key] = torch.zeros(shape, dtype=torch.long)
            continue
        if key.endswith('relative_position_index'):
            weights[key] = relative_positions(round(shape[0] ** 0.5))
            continue
        g = torch.Generator().manual_seed(zlib.crc32(f'{seed}:{key}'.encode()))
        if key.endswith('running_var'):
            value = torch.rand(shape, generator=g) + 0.5
        elif key.endswith('running_mean'):
            value = torch.randn(shape, generator=g) * 0.2
        elif len(shape) < 2 and key.endswith('weight'):
            value = torch.rand(shape, generator=g) * 0.6 + 0.7
        elif len(shape) < 2:
            value = torch.randn(shape, generator=g) * 0.1
        elif 'relative_position_bias_table' in key or 'absolute_pos' in key:
            value = torch.randn(shape, generator=g) * 0.3
        else:
            value = torch.randn(shape, generator=g)
            value = value * (1.0 / value[0].numel() ** 0.5)
        weights[key] = value.double()
    return weights


def relative_positions(window):
    """Row of the bias table for each pair of a window's positions."""
    y, x = torch.meshgrid(*[torch.arange(window)] * 2, indexing='ij')
    rows, columns = (
        c.flatten()[:, None] - c.flatten() + window - 1 for c in (y, x)
    )
    return rows * (2 * window - 1) + columns


def seeded_image(shape, seed):
    generator = torch.Generator().manual_seed(seed + 7)
    return torch.randn(shape, generator=generator).double()


def agree(found, expected):
    """Compare with a golden map to 1e-9 of its largest value."""
    assert list(found.shape) == expected['shape']
    flat = found.detach().flatten()
    index = torch.linspace(0, flat.numel() - 1, 48)  # in float32
    samples = flat[index.round().long()]
    scale = expected['absmax']
    wanted = torch.tensor(expected['samples'], dtype=torch.double)
    assert (samples - wanted).abs().max() <= 1e-9 * scale
    assert abs(flat.mean().item() - expected['mean']) <= 1e-9 * scale
    assert abs(flat.abs().max().item() - scale) <= 1e-9 * scale


def load_composite(backbone, weights):
    """Build a published backbone; load published weights, strictly.

    Args:
        backbone: published arguments.
        weights: published names to tensors, without ``backbone.``.
    """
    composite = build_model(convert_published_backbone(backbone)).double()
    composite.load_state_dict(convert_published(weights).weights, strict=True)
    return composite.eval()


def added_by(composite):
    """Collect what the connection adds at each stage of the lead."""
    added = {}
    composite.connections[0].register_forward_hook(
        lambda module, args, output: added.update({args[1]: output})
    )
    return added


def part(mapping, prefix):
    """Select the names with a prefix and remove the prefix."""
    return {
        key.removeprefix(prefix): value
        for key, value in mapping.items()
        if key.startswith(prefix)
    }

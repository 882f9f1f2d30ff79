"""Give our weights published names and orders, for synthetic files.

This is written from the description of the published layout, independently
of the converter: the converter must turn a file made here back into the
weights that it was made from.
"""

import re

import torch

MEMBER = re.compile(r'^backbone\.members\.(\d)\.(.+)$')
EDGE = re.compile(
    r'^backbone\.connections\.0\.(\d)_to_(\d)\.(conv|norm)\.(\w+)$'
)
SWIN_NAMES = (
    ('patch_embed.projection.', 'patch_embed.proj.'),
    ('stages.', 'layers.'),
    ('.attn.w_msa.', '.attn.'),
    ('.ffn.layers.0.0.', '.mlp.fc1.'),
    ('.ffn.layers.1.', '.mlp.fc2.'),
)


def publish(weights):
    """Give a detector's weights published names, orders and dead entries.

    Args:
        weights: our names to tensors.
    """
    swin = any('.patch_embed.' in name for name in weights)
    published = {}
    for name, value in weights.items():
        if match := MEMBER.match(name):
            k, rest = match.groups()
            if swin:
                if 'downsample' in rest:
                    value = merging_order(value)
                elif rest == 'absolute_pos_embed':
                    side = round(value.shape[1] ** 0.5)
                    value = value.transpose(1, 2)
                    value = value.reshape(1, -1, side, side)
                for ours, theirs in SWIN_NAMES:
                    rest = rest.replace(ours, theirs)
            name = f'backbone.cb_modules.{k}.{rest}'
        elif match := EDGE.match(name):
            source, target, layer, leaf = match.groups()
            inner = '' if swin else f'{["conv", "norm"].index(layer)}.'
            step = int(source) - int(target)
            name = f'backbone.cb_linears.{target}.{step}.{inner}{leaf}'
        published[name] = value
    first = 'backbone.cb_modules.0.bn1.'
    for name in [n for n in published if n.startswith(first)]:
        dead = torch.full_like(published[name], 7)
        published.setdefault(name.replace('modules.0', 'modules.1'), dead)
    return published


def merging_order(value):
    """From channel-major (mmdet) to blocks of channels (published)."""
    channels = value.shape[-1] // 4
    order = [
        4 * channel + 2 * row + column
        for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))
        for channel in range(channels)
    ]
    return value[..., torch.tensor(order, device=value.device)]

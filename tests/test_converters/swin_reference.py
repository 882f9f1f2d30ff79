"""A second implementation of the published Swin composite.

It consists of functions of a state dict, written from the description of the
published model without mmdet or this package.  The golden values confirm it,
so that it can serve for the options that they do not cover.
"""

import torch
import torch.nn.functional as F


def shapes_of(embed, depths, heads, window, dropped=1, grid=None):
    """Published names and shapes of a composite of two Swins.

    Args:
        embed: channels of stage 0.
        depths: blocks of each stage.
        heads: attention heads of each stage.
        window: side of a window.
        dropped: ``cb_del_stages``.
        grid: (H, W) of absolute positions, or None.
    """
    shapes = {}
    for k in range(2):
        names = {}
        if k == 0 or dropped < 0:
            names['patch_embed.proj.weight'] = [embed, 3, 4, 4]
            for leaf in ('proj.bias', 'norm.weight', 'norm.bias'):
                names[f'patch_embed.{leaf}'] = [embed]
        if grid and (k == 0 or dropped < 1):  # 0: left behind, not read
            names['absolute_pos_embed'] = [1, embed, *grid]
        for i, depth in enumerate(depths):
            c = embed * 2**i
            names[f'norm{i}.weight'] = names[f'norm{i}.bias'] = [c]
            if k and i < dropped - 1:
                continue
            for b in range(depth):
                block = f'layers.{i}.blocks.{b}.'
                for n in (1, 2):
                    names[f'{block}norm{n}.weight'] = [c]
                    names[f'{block}norm{n}.bias'] = [c]
                attn = f'{block}attn.'
                names[attn + 'relative_position_bias_table'] = [
                    (2 * window - 1) ** 2, heads[i]
                ]  # fmt: skip
                names[attn + 'relative_position_index'] = [window**2] * 2
                for layer, rows, columns in (
                    ('attn.qkv', 3 * c, c),
                    ('attn.proj', c, c),
                    ('mlp.fc1', 4 * c, c),
                    ('mlp.fc2', c, 4 * c),
                ):
                    names[f'{block}{layer}.weight'] = [rows, columns]
                    names[f'{block}{layer}.bias'] = [rows]
            if i < len(depths) - 1:
                merge = f'layers.{i}.downsample.'
                names[merge + 'reduction.weight'] = [2 * c, 4 * c]
                names[merge + 'norm.weight'] = [4 * c]
                names[merge + 'norm.bias'] = [4 * c]
        shapes |= {f'cb_modules.{k}.{n}': s for n, s in names.items()}
    for s in range(max(dropped - 1, 0), 4):
        for j in range(1, 4 - s):
            edge = f'cb_linears.{s}.{j}.'
            shapes[edge + 'weight'] = [
                embed * 2**s,
                embed * 2 ** (s + j),
                1,
                1,
            ]
            shapes[edge + 'bias'] = [embed * 2**s]
    return shapes


def pyramids(w, image, heads, window):
    """Both members' pyramids, and what is added at each stage of the lead.

    Args:
        w: published names to tensors.
        image: (B, 3, H, W).
        heads: attention heads of each stage.
        window: side of a window.
    """
    first, second = (
        {
            name.removeprefix(f'cb_modules.{k}.'): v
            for name, v in w.items()
            if name.startswith(f'cb_modules.{k}.')
        }
        for k in range(2)
    )
    x = stem(first, image)
    start, raw, merged = x, [], []
    for i in range(4):
        y = stage(first, i, x, heads[i], window)
        x = merge(first, i, y)
        raw.append(y)
        merged.append(x)
    normed = [norm(first, f'norm{i}', y) for i, y in enumerate(raw)]
    assistant = [y.permute(0, 3, 1, 2) for y in normed]

    own_stem = 'patch_embed.proj.weight' in second
    x = stem(second, image) if own_stem else start
    lead, added = [], {}
    for i in range(4):
        if f'layers.{i}.blocks.0.norm1.weight' in second:
            total = 0
            for j in range(4 - i):
                y, edge = assistant[i + j], f'cb_linears.{i}.{j}.'
                if j:
                    y = F.conv2d(y, w[edge + 'weight'], w[edge + 'bias'])
                total = total + F.interpolate(y, x.shape[1:3], mode='nearest')
            added[i] = total
            x = x + total.permute(0, 2, 3, 1)
            y = stage(second, i, x, heads[i], window)
            x = merge(second, i, y)
        else:
            y, x = raw[i], merged[i]
        lead.append(norm(second, f'norm{i}', y).permute(0, 3, 1, 2))
    return [assistant, lead], added


def norm(w, name, x):
    leaves = w[f'{name}.weight'], w[f'{name}.bias']
    return F.layer_norm(x, x.shape[-1:], *leaves, 1e-5)


def linear(w, name, x):
    return F.linear(x, w[f'{name}.weight'], w.get(f'{name}.bias'))


def padded(x, step):
    """Pad (B, H, W, C) at the right and below to whole steps."""
    height, width = x.shape[1:3]
    return F.pad(x, (0, 0, 0, -width % step, 0, -height % step))


def stem(w, image):
    """Images (B, 3, H, W) to tokens (B, H / 4, W / 4, C)."""
    image = padded(image.permute(0, 2, 3, 1), 4).permute(0, 3, 1, 2)
    name = 'patch_embed.proj.'
    x = F.conv2d(image, w[name + 'weight'], w[name + 'bias'], stride=4)
    x = norm(w, 'patch_embed.norm', x.permute(0, 2, 3, 1))
    if 'absolute_pos_embed' in w:
        x = x + F.interpolate(
            w['absolute_pos_embed'], x.shape[1:3], mode='bicubic'
        ).permute(0, 2, 3, 1)
    return x


def merge(w, i, x):
    name = f'layers.{i}.downsample'
    if f'{name}.norm.weight' not in w:
        return x
    x = padded(x, 2)
    order = ((0, 0), (1, 0), (0, 1), (1, 1))
    x = torch.cat([x[:, row::2, column::2] for row, column in order], -1)
    return linear(w, f'{name}.reduction', norm(w, f'{name}.norm', x))


def stage(w, i, x, heads, window):
    block = 0
    while f'layers.{i}.blocks.{block}.norm1.weight' in w:
        name = f'layers.{i}.blocks.{block}'
        shift = window // 2 * (block % 2)
        y = norm(w, f'{name}.norm1', x)
        x = x + attend(w, f'{name}.attn', y, heads, window, shift)
        y = linear(w, f'{name}.mlp.fc1', norm(w, f'{name}.norm2', x))
        x = x + linear(w, f'{name}.mlp.fc2', F.gelu(y))
        block += 1
    return x


def windows_of(x, window):
    """(B, H, W, C) to (B, windows, positions, C)."""
    b, h, width, c = x.shape
    x = x.view(b, h // window, window, width // window, window, c)
    return x.transpose(2, 3).reshape(b, -1, window**2, c)


def attend(w, name, x, heads, window, shift):
    height, width = x.shape[1:3]
    x = padded(x, window)
    b, h, full, c = x.shape
    x = torch.roll(x, (-shift, -shift), (1, 2))
    parts = windows_of(x, window)
    q, k, v = (
        linear(w, f'{name}.qkv', parts)
        .unflatten(-1, (3, heads, c // heads))
        .movedim(-3, 0)
        .transpose(-2, -3)
    )
    scores = q * (c // heads) ** -0.5 @ k.transpose(-1, -2)
    index = w[f'{name}.relative_position_index']
    bias = w[f'{name}.relative_position_bias_table'][index]
    scores = scores + bias.permute(2, 0, 1)
    if shift:
        # Positions from the other end of the map are another region.
        sides = []
        for size in (h, full):
            side = torch.zeros(size, dtype=torch.long)
            side[-window:-shift] = 1
            side[-shift:] = 2
            sides.append(side)
        region = 3 * sides[0][:, None] + sides[1]
        region = windows_of(region[None, ..., None], window)[..., 0]
        apart = region[..., :, None] != region[..., None, :]
        scores = scores - 100.0 * apart[:, :, None]
    y = (scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2)
    y = linear(w, f'{name}.proj', y)
    y = y.view(b, h // window, full // window, window, window, c)
    y = y.transpose(2, 3).reshape(b, h, full, c)
    y = torch.roll(y, (shift, shift), (1, 2))
    return y[:, :height, :width]

"""Give a ResNet's or HGNet's weights the names that other codes publish.

Each function takes a backbone's state dict and walks over its names, the
other way round than the layouts of ``cbnet.pretrained`` and without their
rules.
"""

import torch


def _blocks(weights):
    """List the blocks in order, as (layer from 1, block from 0)."""
    found = {
        (int(name[5]), int(name.split('.')[1]))
        for name in weights
        if name.startswith('layer')
    }
    return sorted(found)


def _leaf_of_paddle(leaf):
    return {'running_mean': '_mean', 'running_var': '_variance'}.get(
        leaf, leaf
    )


def paddle_resnet(weights):
    """PaddleClas; ``weights`` have mmdet's names."""
    order = _blocks(weights)
    file = {'fc.weight': torch.zeros(64, 10).double()}  # transposed
    file['fc.bias'] = torch.zeros(10).double()
    deep = 'stem.0.weight' in weights
    for name, value in weights.items():
        *modules, leaf = name.split('.')
        if leaf == 'num_batches_tracked':
            continue
        leaf = _leaf_of_paddle(leaf)
        if modules[0] == 'stem':
            convolution, norm = divmod(int(modules[1]), 3)
            path = f'stem.{convolution}.{"bn" if norm else "conv"}'
        elif modules[0] in ('conv1', 'bn1'):
            path = f'stem.0.{modules[0][:-1]}'
        else:
            place = order.index((int(modules[0][5]), int(modules[1])))
            path = f'blocks.{place}'
            if modules[2] == 'downsample':
                number = int(modules[3]) - deep  # after average pooling
                path += '.short.' + ('conv', 'bn')[number]
            else:
                kind, number = modules[2][:-1], int(modules[2][-1])
                path += f'.conv{number - 1}.{kind}'
        file[f'{path}.{leaf}'] = value
    return file


def paddle_hgnet(weights):
    """PaddleClas's HGNet (v1 or v2); ``weights`` have timm's names."""
    file = {'fc.weight': torch.zeros(8, 10).double()}
    second = any('.aggregation.1.bn.' in name for name in weights)
    ways = ['aggregation_squeeze_conv', 'aggregation_excitation_conv']
    for name, value in weights.items():
        *modules, leaf = name.split('.')
        if leaf == 'num_batches_tracked':
            continue
        if modules[0] == 'stem' and not second:
            del modules[1]  # timm has `stem.stem`
        if 'aggregation' in modules:
            at = modules.index('aggregation')
            number = int(modules.pop(at + 1))
            modules[at] = (
                ways[number] if second else ('aggregation_conv', 'att')[number]
            )
        file['.'.join([*modules, _leaf_of_paddle(leaf)])] = value
    return file


def cvnets_resnet(weights, block='block_'):
    """CVNets; ``weights`` have mmdet's names, or timm's with a pool."""
    bottlenecks = 'layer1.0.conv3.weight' in weights
    last = 3 if bottlenecks else 2
    file = {'classifier.classifier_fc.bias': torch.zeros(10).double()}
    for name, value in weights.items():
        *modules, leaf = name.split('.')
        if modules[0] in ('conv1', 'bn1'):
            path = 'conv_1.block.' + ('conv' if 'conv' in name else 'norm')
        elif modules[0] == 'maxpool':
            path = 'layer_1.block.' + ('conv', 'norm')[int(modules[1])]
        else:
            path = f'layer_{int(modules[0][5]) + 1}.{block}{modules[1]}.'
            if modules[2] == 'downsample':
                part = ('conv', 'norm')[int(modules[3])]
                path += f'down_sample.block.{part}'
            else:
                number = int(modules[2][-1])
                act = '' if number == last else 'act_'
                part = 'conv' if modules[2].startswith('conv') else 'norm'
                path += f'block.conv_batch_{act}{number}.block.{part}'
        file[f'{path}.{leaf}'] = value
    return file


def simclr_v2(weights):
    """SimCLRv2 as converted; ``weights`` have mmdet's names."""
    file = {'fc.weight': torch.zeros(10, 64).double()}
    for name, value in weights.items():
        *modules, leaf = name.split('.')
        if modules[0] == 'conv1':
            path = 'net.0.0'
        elif modules[0] == 'bn1':
            path = 'net.0.1.0'
        else:
            path = f'net.{modules[0][5]}.blocks.{modules[1]}.'
            if modules[2] == 'downsample':
                path += 'projection.' + ('shortcut', 'bn.0')[int(modules[3])]
            else:
                # Convolutions and (norm, activation) alternate.
                row = ['conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3']
                place = row.index(modules[2])
                path += f'net.{place}' + ('.0' if place % 2 else '')
        file[f'{path}.{leaf}'] = value
    return {'resnet': file, 'head': {'layers.0.weight': torch.zeros(4, 4)}}

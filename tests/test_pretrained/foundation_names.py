"""Give the weights of foundation models the names that their authors use.

Each function takes the weights of a timm model under timm's names and walks
the other way than timm's converters, without their rules.
"""

import torch


def _replaced(name, pairs):
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    return name


def dinov2(weights):
    dim = weights['cls_token'].shape[-1]
    extra = dict(mask_token=torch.zeros(1, dim))
    extra |= {'norm.weight': torch.ones(dim), 'norm.bias': torch.zeros(dim)}
    return extra | weights


def dinov3(weights):
    pairs = (
        ('gamma_1', 'ls1.gamma'),
        ('gamma_2', 'ls2.gamma'),
        ('reg_token', 'storage_tokens'),
    )
    file = {_replaced(n, pairs): w for n, w in weights.items()}
    dim = weights['cls_token'].shape[-1]
    file['mask_token'] = torch.zeros(1, dim)
    file['rope_embed.periods'] = torch.ones(4)
    file |= {'norm.weight': torch.ones(dim), 'norm.bias': torch.zeros(dim)}
    for name in weights:
        if name.endswith('attn.qkv.weight'):
            bias = name.replace('weight', 'bias')
            file[bias] = torch.zeros(3 * dim)
            file[f'{bias}_mask'] = torch.ones(3 * dim)
    return file


def dinov3_convnext(weights):
    file = {}
    for name, weight in weights.items():
        parts = name.split('.')
        if parts[0] == 'stem':
            parts = ['downsample_layers', '0', *parts[1:]]
        elif parts[2] == 'downsample':
            parts = ['downsample_layers', parts[1], *parts[3:]]
        else:  # stages.S.blocks.B
            pairs = (
                ('conv_dw', 'dwconv'),
                ('mlp.fc1', 'pwconv1'),
                ('mlp.fc2', 'pwconv2'),
            )
            rest = _replaced('.'.join(parts[4:]), pairs)
            parts = ['stages', parts[1], parts[3], rest]
        file['.'.join(parts)] = weight
    for name in ('norm.weight', 'norm.bias', 'norms.3.weight'):
        file[name] = torch.ones(4)
    return file


def eva02(weights):
    pairs = (
        ('mlp.fc1_g', 'mlp.w1'),
        ('mlp.fc1_x', 'mlp.w2'),
        ('mlp.fc2', 'mlp.w3'),
        ('mlp.norm', 'mlp.ffn_ln'),
        ('attn.norm', 'attn.inner_attn_ln'),
    )
    file = {_replaced(n, pairs): w for n, w in weights.items()}
    rope = torch.ones(16, 16)
    return file | {'rope.freqs_cos': rope, 'rope.freqs_sin': rope + 1}


def siglip(weights):  # timm's own; the authors' are no file of torch
    return weights | {'attn_pool.latent': torch.zeros(1, 1, 4)}


def _tower(weights):
    pairs = (
        ('patch_embed.proj', 'conv1'),
        ('blocks.', 'transformer.resblocks.'),
        ('norm_pre', 'ln_pre'),
        ('norm1', 'ln_1'),
        ('norm2', 'ln_2'),
        ('gamma_1', 'ls_1.gamma'),
        ('gamma_2', 'ls_2.gamma'),
        ('attn.qkv.', 'attn.in_proj_'),
        ('attn.proj', 'attn.out_proj'),
        ('mlp.fc1', 'mlp.c_fc'),
        ('mlp.fc2', 'mlp.c_proj'),
    )
    file = {}
    for name, weight in weights.items():
        if name == 'cls_token':
            file['class_embedding'] = weight.flatten()
        elif name == 'pos_embed':
            file['positional_embedding'] = weight[0]
        else:
            file[_replaced(name, pairs)] = weight
    return file


def pe(weights):
    return _tower(weights) | {'ln_post.weight': torch.ones(4)}


def clip(weights):
    file = {f'visual.{n}': w for n, w in _tower(weights).items()}
    text = {  # the tower of texts is as deep
        n.removeprefix('visual.'): w.flatten()[:2].clone()
        for n, w in file.items()
        if 'resblocks' in n
    }
    text['positional_embedding'] = torch.zeros(77, 8)
    text['logit_scale'] = torch.tensor(1.0)
    dim = weights['cls_token'].shape[-1]
    return text | file | {'visual.proj': torch.zeros(dim, 8)}


def sam(weights):
    file = {
        f'image_encoder.{n.replace("mlp.fc", "mlp.lin")}': w
        for n, w in weights.items()
    }
    file['image_encoder.neck.0.weight'] = torch.zeros(8, 4, 1, 1)
    file['prompt_encoder.no_mask_embed.weight'] = torch.zeros(1, 8)
    return file

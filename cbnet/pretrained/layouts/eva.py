"""The names of EVA-02's own code, turned into timm's.

Source: timm's own conversion, ``timm.models.eva.checkpoint_filter_fn``.
"""

from collections.abc import Set

from .base import Layout, Rules, Weights, renamed

_NAMES: Rules = [
    (r'\.mlp\.ffn_ln\.', '.mlp.norm.'),
    (r'\.mlp\.w12\.', '.mlp.fc1.'),
    (r'\.mlp\.w1\.', '.mlp.fc1_g.'),
    (r'\.mlp\.w2\.', '.mlp.fc1_x.'),
    (r'\.mlp\.w3\.', '.mlp.fc2.'),
    (r'\.attn\.inner_attn_ln\.', '.attn.norm.'),
    # The model computes the rotation of positions, which each block stores.
    (r'^(blocks\.\d+)\.attn\.rope\.', r'rope.\1.'),
]
# Where queries, keys and values have a matrix each, so have their biases.
_BIASES: Rules = [(r'\.attn\.([qv])_bias$', r'.attn.\1_proj.bias')]


def _rename(weights: Weights, names: Set[str]) -> Weights:
    apart = 'blocks.0.attn.q_proj.weight' in weights
    return renamed(weights, _NAMES, _BIASES if apart else [])


EVA02 = Layout("EVA-02's own names", ('blocks.0.mlp.w3.weight',), _rename)

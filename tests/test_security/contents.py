"""Files that torch reads, with content that no checkpoint has."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .corpus import DATA, Content, first_weight, register

damaged = register('damaged', load_safely_itself=DATA)
RESUMED = 'only a resumed run reads it, and it is refused there'


def not_resumed(make: Any) -> Any:
    """Register a file whose damage matters only to a resumed run."""
    return register('damaged', everywhere=RESUMED, resume='')(make)


def save(path: Path, content: Any) -> None:
    torch.save(content, path)


def weight(path: Path, content: Content, value: Any) -> None:
    content['state_dict'][first_weight(content)] = value
    torch.save(content, path)


# The weights.


@damaged
def a_list(path: Path, content: Content) -> None:
    save(path, [content['state_dict']])


@damaged
def a_tensor(path: Path, content: Content) -> None:
    save(path, torch.ones(3))


@damaged
def nothing(path: Path, content: Content) -> None:
    save(path, None)


@damaged
def an_empty_dict(path: Path, content: Content) -> None:
    save(path, {})


@damaged
def names_are_numbers(path: Path, content: Content) -> None:
    weights = content['state_dict'].values()
    save(path, content | {'state_dict': dict(enumerate(weights))})


@damaged
def one_name_is_a_number(path: Path, content: Content) -> None:
    content['state_dict'][7] = torch.ones(1)
    save(path, content)


@damaged
def one_name_is_a_tuple(path: Path, content: Content) -> None:
    content['state_dict']['a', 'b'] = torch.ones(1)
    save(path, content)


@damaged
def names_of_bytes(path: Path, content: Content) -> None:
    weights = content['state_dict'].items()
    save(path, content | {'state_dict': {n.encode(): w for n, w in weights}})


@damaged
def names_of_the_file_are_numbers(path: Path, content: Content) -> None:
    save(path, dict(enumerate(content['state_dict'].values())))


@damaged
def weights_are_a_list(path: Path, content: Content) -> None:
    save(path, content | {'state_dict': list(content['state_dict'].items())})


@damaged
def weights_are_nothing(path: Path, content: Content) -> None:
    save(path, content | {'state_dict': None})


@damaged
def weights_are_a_text(path: Path, content: Content) -> None:
    save(path, content | {'state_dict': 'x'})


@damaged
def a_weight_is_a_list(path: Path, content: Content) -> None:
    weight(path, content, [1.0, 2.0])


@damaged
def a_weight_is_a_number(path: Path, content: Content) -> None:
    weight(path, content, 1.0)


@damaged
def a_weight_is_an_array(path: Path, content: Content) -> None:
    value = content['state_dict'][first_weight(content)]
    weight(path, content, value.numpy())


@damaged
def all_weights_are_nan(path: Path, content: Content) -> None:
    for value in content['state_dict'].values():
        if value.is_floating_point():
            value.fill_(float('nan'))
    save(path, content)


@damaged
def one_value_is_nan(path: Path, content: Content) -> None:
    content['state_dict'][first_weight(content)].view(-1)[-1] = float('nan')
    save(path, content)


@damaged
def one_value_is_infinite(path: Path, content: Content) -> None:
    content['state_dict'][first_weight(content)].view(-1)[0] = float('-inf')
    save(path, content)


@damaged
def complex_weight(path: Path, content: Content) -> None:
    value = content['state_dict'][first_weight(content)]
    weight(path, content, value.to(torch.complex64))


@damaged
def int8_weight(path: Path, content: Content) -> None:
    value = content['state_dict'][first_weight(content)]
    weight(path, content, value.to(torch.int8))


@damaged
def int64_weight(path: Path, content: Content) -> None:
    value = content['state_dict'][first_weight(content)]
    weight(path, content, value.to(torch.int64))


@damaged
def bool_weight(path: Path, content: Content) -> None:
    weight(path, content, content['state_dict'][first_weight(content)] > 0)


# What is beside the weights: (key, damage, value) of ``meta`` and others.

META = {
    'is_a_list': ((), []),
    'is_a_text': ((), 'x'),
    'is_a_number': ((), 3),
    'iter_is_vast': (('iter',), 10**12),
    'iter_is_negative': (('iter',), -5),
    'iter_is_a_text': (('iter',), '3'),
    'iter_is_nan': (('iter',), float('nan')),
    'iter_is_true': (('iter',), True),
    'iter_is_a_tensor': (('iter',), torch.ones(3)),
    'iter_is_a_dict': (('iter',), {}),
    'epoch_is_vast': (('epoch',), 10**12),
    'epoch_is_negative': (('epoch',), -1),
    'epoch_is_a_list': (('epoch',), [1]),
    'seed_is_a_text': (('seed',), 'x'),
    'seed_is_negative': (('seed',), -1),
    'seed_is_vast': (('seed',), 1 << 100),
    'cfg_is_a_dict': (('cfg',), {}),
    'cfg_is_bytes': (('cfg',), b'x'),
    'config_is_a_number': (('config',), 3),
    'dataset_meta_is_a_text': (('dataset_meta',), 'x'),
    'dataset_meta_is_a_list': (('dataset_meta',), ['a']),
    'classes_are_a_number': (('dataset_meta', 'classes'), 5),
    'classes_are_numbers': (('dataset_meta', 'classes'), (1, 2)),
    'classes_are_a_dict': (('dataset_meta', 'classes'), {'a': 1}),
    'old_classes_are_a_number': (('CLASSES',), 5),
    'batches_done_is_negative': (('batches_done',), -1),
    'batches_done_is_a_text': (('batches_done',), 'x'),
}

STATE = {
    'iter_beyond_the_run': (('meta', 'iter'), 50),
    'message_hub_is_a_list': (('message_hub',), []),
    'message_hub_is_empty': (('message_hub',), {}),
    'log_scalars_are_a_list': (('message_hub', 'log_scalars'), [1]),
    'runtime_info_is_a_text': (('message_hub', 'runtime_info'), 'x'),
    'resumed_keys_are_a_number': (('message_hub', 'resumed_keys'), 1),
    'optimizer_is_a_list': (('optimizer',), [1]),
    'optimizer_is_a_text': (('optimizer',), 'x'),
    'optimizer_is_empty': (('optimizer',), {}),
    'optimizer_groups_are_numbers': (('optimizer', 'param_groups'), [1, 2]),
    'optimizer_groups_are_many': (
        ('optimizer', 'param_groups'),
        [dict(params=[0]), dict(params=[1])],
    ),
    'optimizer_state_is_a_list': (('optimizer', 'state'), [1]),
    'optimizer_state_is_text': (('optimizer', 'state'), {0: 'x'}),
    'schedulers_are_texts': (('param_schedulers',), ['x']),
    'schedulers_are_a_number': (('param_schedulers',), 3),
    'schedulers_are_many': (('param_schedulers',), [{}] * 5),
    'steps_are_an_array_of_text': (
        ('message_hub', 'runtime_info'),
        np.array(['x']),
    ),
}


def put(content: Content, keys: tuple[str, ...], value: Any) -> None:
    *above, last = keys
    for key in above:
        content = content.setdefault(key, {})
    content[last] = value


def _add(name: str, keys: tuple[str, ...], value: Any, add: Any) -> None:
    def make(path: Path, content: Content) -> None:
        put(content, keys, value)
        torch.save(content, path)

    make.__name__ = name
    add(make)


for _name, (_keys, _value) in META.items():
    _add(f'meta_{_name}', ('meta', *_keys), _value, damaged)
for _name, (_keys, _value) in STATE.items():
    _add(_name, _keys, _value, not_resumed)


@register(
    'malicious',
    everywhere='the text is never executed, and only DetInferencer without a '
    'config reads it',
    weights_alone='',
)
def config_text_with_a_call(path: Path, content: Content) -> None:
    mark = path.parent.parent / 'executed'
    text = f"open({str(mark)!r}, 'w')\n"
    content['meta']['cfg'] += text
    content['message_hub'] = dict(
        log_scalars={}, resumed_keys={}, runtime_info=dict(cfg=text)
    )
    torch.save(content, path)


honest = register('honest')


@honest
def of_this_content(path: Path, content: Content) -> None:
    torch.save(content, path)


@register('honest', resume='', weights_alone='')
def of_weights_alone(path: Path, content: Content) -> None:
    torch.save(content['state_dict'], path)


@honest
def of_numpy_numbers(path: Path, content: Content) -> None:
    for key in ('iter', 'epoch'):
        content['meta'][key] = np.int64(content['meta'].get(key, 1))
    torch.save(content, path)


@honest
def of_an_infinite_mask(path: Path, content: Content) -> None:
    """Attention masks hold infinities; nothing is wrong with them."""
    content['more'] = {'attn_mask': torch.full((2, 2), float('-inf'))}
    torch.save(content, path)

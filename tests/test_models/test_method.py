"""The method can be read in one sitting.

1. its five files have at most 750 lines together;
2. the example of docs/get_started.md, which uses no config, runs as printed.
"""

import re
from pathlib import Path

import torch

import cbnet

PACKAGE = Path(cbnet.__file__).parent
METHOD = [
    'models/backbones/composite.py',
    'models/backbones/connections.py',
    'models/members/base.py',
    'models/members/resnet.py',
    'models/detectors/assistance.py',
]


def test_the_method_is_short():
    lines = {
        name: len((PACKAGE / name).read_text().splitlines()) for name in METHOD
    }
    assert sum(lines.values()) <= 750, lines


def test_the_example_without_a_config(capsys):
    page = PACKAGE.parent / 'docs' / 'get_started.md'
    (example,) = re.findall(
        r'## Without a config\n.*?```python\n(.*?)```', page.read_text(), re.S
    )
    code = [line for line in example.splitlines() if line.strip()]
    assert len(code) <= 15
    names = {}
    exec(example, names)
    assert '(2, 64, 32, 40), (2, 128, 16, 20)' in capsys.readouterr().out
    composite, loss = names['composite'], names['loss']
    assert loss.isfinite()
    for name, p in composite.named_parameters():
        assert p.grad is not None, name
    # It is the paper's sum: the lead's loss and half of the assistant's.
    first, last = composite(names['images'], all_members=True)
    with torch.no_grad():
        parts = [
            torch.nn.functional.mse_loss(names['head'](y[-1]), names['target'])
            for y in (last, first)
        ]
    assert torch.allclose(loss, parts[0] + 0.5 * parts[1])

"""A text model with random weights, in the place of BERT's files."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmdet.datasets import CocoDataset

#: GLIP fuses texts of this width only
WIDTH = 768
_FOLDERS = []


@cache
def tiny_text_model():
    """Write the model; return its folder, which lasts as long as Python.

    Raises:
        ImportError: transformers is not installed.
    """
    from transformers import BertConfig, BertModel

    _FOLDERS.append(TemporaryDirectory())
    folder = Path(_FOLDERS[-1].name)
    names = ' '.join(CocoDataset.METAINFO['classes'])
    marks = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', '?', ',']
    words = [*marks, *sorted(set(names.split()))]
    (folder / 'vocab.txt').write_text('\n'.join(words))
    about = dict(tokenizer_class='BertTokenizer')
    (folder / 'tokenizer_config.json').write_text(json.dumps(about))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(
            BertConfig(
                vocab_size=len(words),
                hidden_size=WIDTH,
                num_hidden_layers=1,
                intermediate_size=64,
            ),
            add_pooling_layer=False,
        ).save_pretrained(folder)
    return str(folder)

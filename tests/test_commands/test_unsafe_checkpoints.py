"""Checkpoints that try to run a command, through the tools and inference.

1. a pickle with a command: test.py, train.py's --resume and load_from,
   ``init_detector``, ``DetInferencer`` with a config and without refuse it,
   naming file and global, whatever torch's environment variable says;
2. config text with a command: nothing of it runs; where a path needs the
   text (``DetInferencer`` without a config; resume, for what mmdet 2 wrote)
   it is refused, elsewhere the checkpoint is used without it;
3. honest checkpoints load: weights, classes, the text as the config; resume
   still compares the number of processes.
"""

import io
import pickle
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmdet.apis import DetInferencer, init_detector
from mmengine.config import Config
from mmengine.runner import Runner

from cbnet.errors import UnsafeCheckpointError
from cbnet.testing import build_model

TOOLS = Path(__file__).parents[2] / 'tools'


class Smuggled:
    """Pickles as a call of ``io.open``."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return io.open, self.arguments


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_config):
    """An empty working folder on the path of imports."""
    here = tmp_path / 'here'
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(here)
    module = f"open({str(here / 'marker')!r}, 'w').close()"
    (here / 'smuggled.py').write_text(module)
    monkeypatch.delitem(sys.modules, 'smuggled', raising=False)
    return here


@pytest.fixture
def save(folder, tiny_config):
    """Write a checkpoint as training does; give its path."""
    cfg = Config.fromfile(tiny_config)
    weights = build_model(cfg.model).state_dict()

    def write(text=None, **more):
        text = cfg.pretty_text if text is None else text
        hub = dict(
            log_scalars={}, runtime_info=dict(cfg=text), resumed_keys={}
        )
        meta = dict(
            epoch=0, iter=1, cfg=text, dataset_meta=dict(classes=('a', 'b'))
        )
        meta.update(more)
        path = folder / 'net.pth'
        torch.save(dict(meta=meta, state_dict=weights, message_hub=hub), path)
        return path

    write.cfg = cfg
    return write


def use_tool(name):
    def use(config, checkpoint, monkeypatch):
        command = {
            'test': ['test.py', config, checkpoint],
            'resume': ['train.py', config, '--resume', checkpoint],
            'load_from': [
                *('train.py', config),
                *('--cfg-options', f'load_from={checkpoint}'),
            ],
        }[name]
        monkeypatch.setattr(sys, 'argv', [*map(str, command)])
        runpy.run_path(str(TOOLS / command[0]), run_name='__main__')

    return use


def use_init_detector(config, checkpoint, monkeypatch):
    return init_detector(str(config), str(checkpoint), device='cpu')


def use_inferencer(config, checkpoint, monkeypatch):
    return DetInferencer(str(config), str(checkpoint), device='cpu').model


def use_weights_alone(config, checkpoint, monkeypatch):
    return DetInferencer(weights=str(checkpoint), device='cpu').model


TOOL_PATHS = {n: use_tool(n) for n in ('test', 'resume', 'load_from')}
MODEL_PATHS = {
    'init_detector': use_init_detector,
    'DetInferencer': use_inferencer,
    'DetInferencer, weights alone': use_weights_alone,
}
PATHS = {**TOOL_PATHS, **MODEL_PATHS}


@pytest.fixture
def run(tiny_config, monkeypatch, capsys):
    """Use a checkpoint; give the text of the error that ended it, if any."""

    def use(path, checkpoint):
        try:
            PATHS[path](tiny_config, checkpoint, monkeypatch)
        except UnsafeCheckpointError as error:
            return str(error)
        except SystemExit:  # the tools say it in a line of their own
            return capsys.readouterr().err
        return ''

    return use


@pytest.mark.parametrize('path', PATHS)
def test_commands_are_refused(path, save, folder, run, monkeypatch):
    file = save(more=Smuggled(str(folder / 'marker'), 'w'))
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    said = run(path, file)
    assert not (folder / 'marker').exists()
    assert 'net.pth' in said and 'io.open' in said
    assert 'weights_only' not in said


CODE = "open('marker', 'w').close()\n"


@pytest.mark.parametrize('path', [*MODEL_PATHS, 'test', 'resume'])
def test_config_text_is_not_run(path, save, folder, run):
    file = save(save.cfg.pretty_text + CODE)
    said = run(path, file)
    assert not (folder / 'marker').exists()
    if path.endswith('weights alone'):
        assert 'net.pth' in said and "open('marker', 'w')" in said
    else:
        assert not said


def test_resume_does_not_run_the_text_of_old_files(save, folder, run):
    file = save(config=CODE)
    said = run('resume', file)
    assert not (folder / 'marker').exists()
    assert 'net.pth' in said and 'open(' in said


@pytest.mark.parametrize('processes', [1, 2])
def test_resume_still_compares_processes(tiny_config, save, processes):
    """Files of mmdet 2 hold the ids of its GPUs in their text."""
    file = save(config=f'gpu_ids = {list(range(processes))}')
    cfg = Config.fromfile(tiny_config)
    cfg.update(work_dir='runs', load_from=str(file), resume=True)
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    if processes == 1:
        runner.resume(str(file))
        assert runner.iter == 1
    else:
        with pytest.raises(RuntimeError, match='Number of GPUs'):
            runner.resume(str(file))


def in_model(**values):
    return lambda cfg: cfg.model.update(values)


def type_of_model(cfg):
    cfg.model = dict(type='io.open', file='marker', mode='w')


def nms(cfg):
    cfg.model.test_cfg.rcnn.nms.type = "open('marker', 'w')"


def pickled_dataset(cfg):
    content = pickle.dumps(Smuggled('marker', 'w'))
    Path('annotations.pkl').write_bytes(content)
    cfg.test_dataloader.dataset = dict(
        type='ConcatDataset',
        datasets=[dict(type='BaseDetDataset', ann_file='annotations.pkl')],
    )


def timm_file(**options):
    """Let timm read a file, which some of its versions would execute."""

    def change(cfg):
        torch.save(Smuggled('marker', 'w'), 'weights.pth')
        cfg.model.backbone = dict(
            type='TimmBackbone', model_name='test_resnet', **options
        )

    return change


FILE = dict(file='weights.pth')
HARMFUL = {
    'type is a path': type_of_model,
    'type is a module': in_model(type='smuggled'),
    'type in a module': in_model(type='smuggled.X'),
    'base in a module': in_model(base='smuggled.X'),
    'scope is a module': in_model(_scope_='smuggled'),
    'nms is evaluated': nms,
    'dataset is a pickle': pickled_dataset,
    'pipeline': lambda cfg: cfg.test_dataloader.dataset.pipeline.append(
        dict(type='io.open', file='marker', mode='w')
    ),
    'timm, checkpoint_path': timm_file(checkpoint_path='weights.pth'),
    'timm, pretrained_cfg': timm_file(pretrained=True, pretrained_cfg=FILE),
    'timm, overlay': timm_file(pretrained=True, pretrained_cfg_overlay=FILE),
    'teacher': in_model(teacher_ckpt='weights.pth'),
    'base config': lambda cfg: cfg.update(_base_='smuggled.py'),
}


@pytest.mark.parametrize('change', HARMFUL.values(), ids=HARMFUL)
def test_literals_that_lead_to_code(save, folder, change):
    cfg = save.cfg.copy()
    change(cfg)
    said = ''
    try:
        model = DetInferencer(weights=str(save(cfg.pretty_text)), device='cpu')
        model(torch.zeros(64, 96, 3).numpy())
    except Exception as error:  # unprotected, it fails after the harm
        said = str(error)
    assert not (folder / 'marker').exists()
    assert 'net.pth' in said and 'never executed' in said


def test_imports_of_the_text_are_not_made(save, folder, monkeypatch):
    cfg = save.cfg.copy()
    cfg.custom_imports = dict(imports=['cbnet', 'smuggled'])
    use_weights_alone(None, save(cfg.pretty_text), monkeypatch)
    assert not (folder / 'marker').exists()


@pytest.mark.parametrize('path', MODEL_PATHS)
def test_honest_checkpoints(path, tiny_config, save, monkeypatch):
    file = save()
    model = MODEL_PATHS[path](tiny_config, file, monkeypatch)
    weights = torch.load(file)['state_dict']
    found = model.state_dict()
    assert weights.keys() <= found.keys()
    for name, value in weights.items():
        assert torch.equal(found[name], value)
    assert model.dataset_meta['classes'] == ('a', 'b')
    if path.endswith('weights alone'):
        found = model.cfg.train_dataloader.to_dict()
        assert found == save.cfg.train_dataloader.to_dict()

"""tools/train.py stops with one line, loses nothing, and goes on.

- a loss that becomes nan: the losses, the images; status 2;
- a truncated image in the middle, read by a worker process: its path; then,
  the image restored, ``--resume`` trains the next iteration;
- a style that is not one: the last line of the output says so, and the line
  before it where the traceback is.
"""

import shutil


def last(done):
    assert done.returncode == 2, done.stdout
    assert 'Traceback' not in done.stdout
    return done.stdout.splitlines()[-1]


def test_an_image_and_a_loss(
    tiny_config, tiny_coco, run_tool, iterations, tmp_path
):
    data = tmp_path / 'data'
    shutil.copytree(tiny_coco.root, data)
    text = tiny_config.read_text().replace(str(tiny_coco.root), str(data))
    text += 'train_dataloader.update(num_workers=1, persistent_workers=True)\n'
    text += "train_dataloader['sampler']['shuffle'] = False\n"
    text += 'train_cfg.update(max_iters=4, val_interval=9)\n'
    text += "default_hooks['checkpoint']['interval'] = 9\n"
    tiny_config.write_text(text)
    # Steps see the images 1 and 2, 3 and 4, 1 and 2, 3 and 4.
    broken = data / 'train' / '004.png'
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    arguments = ('train.py', tiny_config, '--work-dir', tmp_path / 'run')
    first = run_tool(*arguments)
    assert iterations(first.stdout) == [1]
    assert last(first).startswith(
        f'train.py: error: image {broken} ({len(whole) // 2} bytes) is cut '
        'short'
    )
    assert 'everything trained so far is in' in first.stdout
    assert (tmp_path / 'run' / 'stopped_iter_1.pth').exists()
    assert len(list((tmp_path / 'run').glob('*.pth'))) == 1

    broken.write_bytes(whole)
    again = run_tool(*arguments, '--resume')
    assert again.returncode == 0, again.stdout
    assert iterations(again.stdout) == [2, 3, 4]

    spoiled = run_tool(
        *arguments[:2], '--work-dir', tmp_path / 'nan', '--cfg-options',
        'optim_wrapper.optimizer.lr=1e20', 'param_scheduler=None',
    )  # fmt: skip
    message = last(spoiled)
    assert message.startswith('train.py: error: iteration 2: loss_rpn_cls is')
    assert 'assist0.loss_rpn_cls is' in message
    assert f'in the batch of {data}/train/003.png, {broken}. ' in message
    assert (tmp_path / 'nan' / 'stopped_iter_1.pth').exists()


def test_a_mistake_in_the_config(tiny_config, run_tool):
    done = run_tool(
        'train.py', tiny_config, '--cfg-options',
        'model.backbone.style=dhcl',
    )  # fmt: skip
    assert last(done) == (
        "train.py: error: CompositeBackbone: style='dhcl'; expected 'slc', "
        "'ahlc', 'allc', 'dhlc' or 'fcc'; did you mean 'dhlc' or 'ahlc'?"
    )
    assert done.stdout.splitlines()[-2].startswith('traceback: ')

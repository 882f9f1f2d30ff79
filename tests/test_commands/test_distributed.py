"""Two gloo processes train and test, started by torchrun and by the scripts.

- ``torchrun -m cbnet train`` needs no clone;
- tools/dist_test.sh runs the same command, and so does dist_train.sh, which
  is only asked for the command that it would run.
"""

import pickle
import socket


def test_two_gloo_processes(tiny_config, run_tool, iterations, tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    trained = run_tool(
        'torch.distributed.run', '--nproc_per_node', 2, '--master_port', port,
        '-m', 'cbnet', 'train', tiny_config, '--launcher', 'pytorch',
        '--work-dir', tmp_path / 'dist',
    )  # fmt: skip
    assert trained.returncode == 0, trained.stdout
    assert 'GPU number: 2' in trained.stdout  # mmengine's word for world size
    assert iterations(trained.stdout) == [1, 2]

    tested = run_tool(
        'dist_test.sh', tiny_config, tmp_path / 'dist' / 'iter_2.pth', 2,
        '--out', tmp_path / 'boxes.pkl', PORT=port,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    with open(tmp_path / 'boxes.pkl', 'rb') as file:
        images = pickle.load(file)  # noqa: S301 (written by the line above)
    assert [image['img_id'] for image in images] == [1, 2]


def test_the_command_of_the_scripts(run_tool):
    settings = dict(PYTHON='echo', NNODES='2', NODE_RANK='1', PORT='9')
    settings['MASTER_ADDR'] = 'first'
    for tool, arguments in (
        ('train.py', ('a.py', 8, '--resume')),
        ('test.py', ('a.py', 'b.pth', 8, '--tta')),
    ):
        done = run_tool(f'dist_{tool[:-3]}.sh', *arguments, **settings)
        said = done.stdout.split()
        assert said[:2] == ['-m', 'torch.distributed.run']
        assert {
            '--nnodes=2', '--node-rank=1', '--nproc-per-node=8',
            '--master-addr=first', '--master-port=9',
        } <= set(said)  # fmt: skip
        script = next(i for i, word in enumerate(said) if tool in word)
        words = [str(word) for word in arguments if word != 8]
        assert said[script + 1 :] == [*words, '--launcher', 'pytorch']
    done = run_tool('dist_train.sh', 'a.py')
    assert done.returncode == 2 and 'usage: ' in done.stdout

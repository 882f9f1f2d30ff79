"""Two gloo processes train and test through the shell scripts."""

import pickle
import socket


def test_two_gloo_processes(tiny_config, run_tool, iterations, tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    trained = run_tool(
        'dist_train.sh', tiny_config, 2, '--work-dir', tmp_path / 'dist',
        PORT=port,
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

"""Local files that cannot be complete checkpoints are recognised.

Both formats of torch pass, and so do addresses.  Files that are missing, cut
short at any place, empty or web pages are refused; the error names the file,
its size and the remedy.
"""

import pytest
import torch

from cbnet.checkpoints.local_files import require_checkpoint


@pytest.mark.parametrize('as_zip', [True, False])
def test_checkpoints_pass(tmp_path, as_zip):
    path = tmp_path / 'a.pth'
    torch.save([1], path, _use_new_zipfile_serialization=as_zip)
    require_checkpoint(path, 'load_from')


@pytest.mark.parametrize(
    'source', ['https://a.org/b.pth', 'torchvision://resnet50', 's3:a/b.pth']
)
def test_addresses_pass(source):
    require_checkpoint(source, 'load_from')


@pytest.mark.parametrize('part', [0.01, 0.5, 0.999])
def test_cut_short(tmp_path, part):
    path = tmp_path / 'a.pth'
    torch.save(torch.ones(1000), path)
    size = int(path.stat().st_size * part)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError) as raised:
        require_checkpoint(path, 'load_from')
    assert str(raised.value) == (
        f"load_from='{path}' is cut short: {size} bytes; copy or download it "
        'again'
    )


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', r"it begins with b''\): 0 bytes"),
        (
            b'<!DOCTYPE html>',
            "is no checkpoint of torch .* b'<!DOCTYPE html>'",
        ),
    ],
)
def test_other_files(tmp_path, content, message):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        require_checkpoint(tmp_path / 'a.pth', 'load_from')


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="--resume='/.*gone.pth'"):
        require_checkpoint(tmp_path / 'gone.pth', '--resume')

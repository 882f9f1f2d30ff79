"""Images that are missing or cut short are errors that name the file.

- a whole file gives what mmcv's loader gives, in every option and format,
  with bytes behind its end as well, and is decoded once;
- more pixels than Pillow decodes are refused, unless a variable allows it;
- missing, a folder, empty, no image, cut at many places: one line that
  names the file, although the decoder may return an image;
- ``ignore_empty`` gives None; a dataloader's worker passes the line on;
- an image of another size than its annotations declare names both sizes;
- ``use_checked_loader`` reaches every pipeline that is built afterwards.
"""

import io

import numpy as np
import pytest
from mmcv.transforms import Compose, LoadImageFromFile
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope
from PIL import ExifTags, Image, ImageFile
from torch.utils.data import DataLoader

from cbnet.datasets.checked_images import (
    CheckedLoadImageFromFile,
    ImageFileError,
    use_checked_loader,
)

FORMATS = ['jpeg', 'png', 'bmp', 'tiff', 'webp']


def content(kind='jpeg'):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def load(path, **options):
    return CheckedLoadImageFromFile(**options)(dict(img_path=str(path)))


@pytest.fixture
def lenient(monkeypatch):
    """A decoder that makes an image of anything, as OpenCV 4 does."""
    calls = []

    def decode(data, flag, backend):
        calls.append(data)
        return np.full((40, 60, 3), 128, np.uint8)

    monkeypatch.setattr('mmcv.imfrombytes', decode)
    return calls


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(to_float32=True, color_type='grayscale'),
        dict(imdecode_backend='pillow', backend_args=dict(backend='local')),
        dict(file_client_args=dict(backend='disk')),
    ],
)
@pytest.mark.filterwarnings(
    'ignore:"file_client_args" will:DeprecationWarning'
)
def test_a_whole_file(tmp_path, kind, options):
    path = tmp_path / f'a.{kind}'
    path.write_bytes(content(kind))
    found = load(path, **options)
    expected = LoadImageFromFile(**options)(dict(img_path=str(path)))
    assert found.keys() == expected.keys()
    assert found['img'].dtype == expected['img'].dtype
    assert np.array_equal(found['img'], expected['img'])
    for key in ('img_shape', 'ori_shape'):
        assert found[key] == expected[key] == (40, 60)


@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_a_whole_file_is_decoded_once(tmp_path, kind, monkeypatch):
    def twice(*_):
        raise AssertionError('decoded a second time')

    monkeypatch.setattr(ImageFile.ImageFile, 'load', twice)
    path = tmp_path / 'a'
    path.write_bytes(content(kind))
    assert load(path)['img_shape'] == (40, 60)


@pytest.mark.parametrize('kind', FORMATS)
def test_too_many_pixels(tmp_path, kind, monkeypatch):
    path = tmp_path / f'a.{kind}'
    path.write_bytes(content(kind))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    monkeypatch.delenv('OPENCV_IO_MAX_IMAGE_PIXELS', raising=False)
    expected = f'^image {path} has 2400 pixels, expected at most 2000; cut it'
    with pytest.raises(ImageFileError, match=expected):
        load(path)
    monkeypatch.setenv('OPENCV_IO_MAX_IMAGE_PIXELS', '3000')
    assert load(path)['img_shape'] == (40, 60)
    declared = dict(img_path=str(path), height=60, width=40)
    with pytest.raises(ImageFileError, match='has 60x40 pixels, but its'):
        CheckedLoadImageFromFile()(declared)


@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_bytes_behind_the_end(tmp_path, kind):
    path = tmp_path / 'a'
    path.write_bytes(content(kind) + b'\0camera\0')
    assert load(path)['img_shape'] == (40, 60)


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('part', [0.1, 0.3, 0.6, 0.99])
def test_a_file_that_is_cut_short(tmp_path, kind, part, lenient):
    whole = content(kind)
    cut = whole[: int(len(whole) * part)]
    path = tmp_path / f'cut.{kind}'
    path.write_bytes(cut)
    with pytest.raises(ImageFileError) as raised:
        load(path)
    message = str(raised.value)
    assert message.startswith(f'image {path} ({len(cut)} bytes) is cut short')
    assert '\n' not in message and 'from the annotation file' in message
    assert not lenient


def test_a_hole_at_the_end(tmp_path, lenient):
    """What a download that reserves the whole file leaves."""
    whole = content()
    half = len(whole) // 2
    (tmp_path / 'a.jpg').write_bytes(whole[:half] + bytes(half))
    with pytest.raises(ImageFileError, match='is cut short.* end marker'):
        load(tmp_path / 'a.jpg')
    thumbnail = b'\xff\xe1\0\x08\xff\xda\xff\xd9\0\0'
    (tmp_path / 'a.jpg').write_bytes(
        whole[:2] + thumbnail + whole[2:half] + bytes(half)
    )
    with pytest.raises(ImageFileError, match='is cut short.* end marker'):
        load(tmp_path / 'a.jpg')


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda path: None, 'is missing'),
        (lambda path: path.mkdir(), 'cannot be read: Is a directory'),
        (lambda path: path.touch(), r'\(0 bytes\) is empty'),
        (
            lambda path: path.write_text('<html>'),
            r'\(6 bytes\) is not an image',
        ),
    ],
)
def test_a_file_that_is_no_image(tmp_path, make, message):
    make(tmp_path / 'a.jpg')
    with pytest.raises(ImageFileError, match=f'image /.*a.jpg {message}') as e:
        load(tmp_path / 'a.jpg')
    assert 'expected a whole image file. Restore it' in str(e.value)
    assert load(tmp_path / 'a.jpg', ignore_empty=True) is None


def test_a_decoder_that_raises(tmp_path):
    (tmp_path / 'a.jpg').write_text('<html>')
    with pytest.raises(
        ImageFileError, match='cannot be decoded: cannot ident'
    ):
        load(tmp_path / 'a.jpg', imdecode_backend='pillow')


def test_a_worker_passes_the_line_on(tmp_path):
    class Data:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return load(tmp_path / 'gone.jpg')

    with pytest.raises(ImageFileError) as raised:
        next(iter(DataLoader(Data(), num_workers=1)))
    assert str(raised.value) == (
        f'image {tmp_path / "gone.jpg"} is missing; expected a whole image '
        'file. Restore it, or remove it from the annotation file'
    )


def test_the_declared_size(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(content())
    loader = CheckedLoadImageFromFile()
    right = dict(img_path=str(path), height=40, width=60)
    assert loader(dict(right))['ori_shape'] == (40, 60)
    with pytest.raises(ImageFileError) as raised:
        loader(right | dict(height=80, width=120))
    start = (
        f'image {path} has 60x40 pixels, but its annotations declare 120x80'
    )
    assert str(raised.value).startswith(start)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_turned_photo(tmp_path, orientation):
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new('RGB', (60, 40)).save(path, exif=exif)
    declared = dict(img_path=str(path), height=40, width=60)
    if orientation < 5:
        CheckedLoadImageFromFile()(declared)
        return
    with pytest.raises(ImageFileError, match='has 40x60 pixels after the tu'):
        CheckedLoadImageFromFile()(declared)
    size = dict(height=60, width=40)
    assert CheckedLoadImageFromFile()(declared | size)['ori_shape'] == (60, 40)


def test_every_pipeline_is_reached(monkeypatch):
    names = dict(TRANSFORMS.module_dict)
    names.pop('LoadImageFromFile', None)
    monkeypatch.setattr(TRANSFORMS, '_module_dict', names)
    cfg = [dict(type='LoadImageFromFile', to_float32=True)]
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert type(Compose(cfg).transforms[0]) is LoadImageFromFile
        use_checked_loader()
        use_checked_loader()
        (loader,) = Compose(cfg).transforms
    assert type(loader) is CheckedLoadImageFromFile and loader.to_float32
    assert cfg[0]['type'] == 'LoadImageFromFile'

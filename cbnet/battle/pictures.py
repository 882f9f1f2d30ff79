"""The same images, as each entry sees them."""

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..analysis.sheet import draw_image, pick_images
from ..datasets.annotations import CocoAnnotations, Instance
from ..datasets.results import CocoResults
from ..errors import UserError
from .figures import RESULTS
from .results import Results
from .run_folders import entry_folder, run_folder

_WIDTH, _IMAGES, _SCORE = 360, 3, 0.3


@dataclass(frozen=True)
class Picture:
    """A drawing of an image.

    Attributes:
        caption: what it shows.
        source: the drawing as a ``data:`` address.
    """

    caption: str
    source: str


def pictures(
    results: Results, folder: Path, images: Mapping[str, Path]
) -> Iterator[tuple[str, list[Picture]]]:
    """Draw a few images of each test split, one row for each.

    Args:
        results: the results of a battle.
        folder: the folder of the battle.
        images: the folder of the images of the test split by data set; a
            data set without one is left out.

    Yields:
        The data set with the name of the image; and its drawings: the
        objects first, then the detections of each entry's first seed.
    """
    for data, image_dir in images.items():
        annotations = CocoAnnotations(folder / 'data' / data / 'test.json')
        found = dict(_detections(results, folder, data, annotations))
        for image_id in pick_images(annotations, _IMAGES) if found else ():
            name = annotations.images[image_id]['file_name']
            try:
                yield (
                    f'{data}: {name}',
                    [
                        _draw(annotations, image_id, image_dir, objects, entry)
                        for entry, objects in [
                            ('the objects', annotations.instances(image_id)),
                            *(
                                (entry, one.instances(image_id, _SCORE))
                                for entry, one in found.items()
                            ),
                        ]
                    ],
                )
            except UserError:  # the images have moved
                break


def _detections(
    results: Results, folder: Path, data: str, annotations: CocoAnnotations
) -> Iterator[tuple[str, CocoResults]]:
    for name, entry in results.manifest['entries'].items():
        one = results.results[data, name]
        for seed in list(one.seeds)[:1]:
            runs = entry_folder(folder, data, entry['folder'])
            test = run_folder(runs, one.lr, seed) / 'test'
            files = [test / f'{RESULTS}.{k}.json' for k in ('segm', 'bbox')]
            for file in [one for one in files if one.exists()][:1]:
                detections = json.loads(file.read_text())
                yield name, CocoResults(detections, annotations)


def _draw(
    annotations: CocoAnnotations,
    image_id: int,
    image_dir: Path,
    objects: list[Instance],
    entry: str,
) -> Picture:
    pixels = draw_image(annotations, image_id, image_dir, objects, _WIDTH)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG', quality=80)
    code = base64.b64encode(file.getvalue()).decode()
    caption = f'{entry}: {len(objects)}'
    return Picture(caption, f'data:image/jpeg;base64,{code}')

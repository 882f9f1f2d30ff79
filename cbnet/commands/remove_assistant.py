"""``cbnet upgrade --remove``: an upgraded detector without its assistants."""

from argparse import Namespace

from ..atomic_files import all_or_none
from ..checkpoints.weight_files import kept_meta, read_file, write_weights
from ..messages import command
from ..twins.proof import compare_detectors, proof_images
from ..twins.trained import check_checkpoint, read_detector, read_upgraded
from ..twins.upgraded_weights import without_assistants
from .command_line import new_files
from .publish import record


def remove(args: Namespace) -> None:
    """Write the checkpoint of the detector that was upgraded."""
    cfg, base = read_upgraded(args.config)
    detector = read_detector(base)
    (out,) = new_files(args.out_dir, 'removed.pth')
    images, called = proof_images(cfg, args.images, args.out_dir)
    print(f'reading {args.checkpoint}', flush=True)
    file = read_file(args.checkpoint)
    weights = check_checkpoint(args.config, cfg, file, str(args.checkpoint))
    found = without_assistants(weights, detector, cfg.model.backbone)
    with all_or_none(out):
        outputs = record(detector.cfg, found)
        write_weights(out, found, kept_meta(file, args.checkpoint), outputs)
        pair = (cfg, args.checkpoint), (detector.cfg, out)
        apart = compare_detectors(*pair, images)
    print(f'wrote {out}')
    if apart.largest:
        print(
            f'without the assistant, the outputs on {apart.images} {called} '
            f'change by up to {apart.largest:.3g}, first at {apart.place}'
        )
    else:
        print(
            f'the assistant adds nothing yet: {apart.outputs} outputs on '
            f'{apart.images} {called} are equal, largest difference 0.0'
        )
    print(f'compare: {command("cbnet", "test", base, out)}')

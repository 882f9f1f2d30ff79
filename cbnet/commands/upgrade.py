"""Add a pretrained assistant to a trained detector."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from ..atomic_files import all_or_none
from ..checkpoints.weight_files import kept_meta, read_file, write_weights
from ..errors import UserValueError
from ..messages import command
from ..twins.assistants import Assistant, find_assistant, with_weights
from ..twins.fitting import UpgradeOptions
from ..twins.proof import compare_detectors, proof_images
from ..twins.trained import Detector, check_checkpoint, read_detector
from ..twins.upgraded_config import write_config
from ..twins.upgraded_weights import start_weights
from .command_line import new_files
from .publish import record
from .remove_assistant import remove
from .upgrade_costs import print_costs


def run(args: Namespace) -> None:
    """Upgrade one detector and print each step."""
    if args.remove:
        remove(args)
        return
    if args.leave_out_frozen and args.train_assistant:
        raise UserValueError(
            '--leave-out-frozen leaves out weights that stay as they are, '
            'and --train-assistant changes them; give one of the two'
        )
    detector = read_detector(args.config)
    assistant = find_assistant(args.assistant)
    assistant = with_weights(assistant, args.assistant_weights)
    name = Path(args.config.rpartition('::')[2]).stem
    out, start = new_files(args.out_dir, f'upgraded_{name}.py', 'start.pth')
    images, called = proof_images(detector.cfg, args.images, args.out_dir)
    print(f'reading {args.checkpoint}', flush=True)
    file = read_file(args.checkpoint)
    weights = check_checkpoint(
        args.config, detector.cfg, file, str(args.checkpoint)
    )
    options = UpgradeOptions(
        args.style,
        args.train_assistant,
        args.scale,
        args.dtype,
        args.leave_out_frozen,
    )
    with all_or_none(out, start):
        cfg, model = write_config(detector, assistant, out, start, options)
        found = start_weights(detector, weights, model, assistant)
        outputs = record(cfg, found)
        write_weights(start, found, kept_meta(file, args.checkpoint), outputs)
        pair = (detector.cfg, args.checkpoint), (cfg, start)
        apart = compare_detectors(*pair, images)
        if apart.largest:
            raise UserValueError(
                f'{args.config}: the upgraded detector computes something '
                f'else; the first output that differs is {apart.place}, the '
                f'largest difference is {apart.largest:.3g}; nothing was '
                f'written'
            )
    print(f'wrote {out}\nwrote {start}')
    print(
        f'proved on {apart.images} {called}: {apart.outputs} outputs and '
        f'{apart.detections} detections are equal, largest difference '
        f'{apart.largest}'
    )
    print_costs(args, (detector.cfg, weights), (cfg, found))
    for remark in remarks(detector, assistant, args.leave_out_frozen):
        print(f'note: {remark}')
    print(f'go on: {command("cbnet", "train", out)}')


def remarks(
    detector: Detector, assistant: Assistant, left_out: bool
) -> Iterator[str]:
    """Yield what the user of an upgraded detector must know."""
    if left_out:
        yield (
            f'the weights of the assistant are in no checkpoint; keep '
            f'{assistant.init_cfg["checkpoint"]}'
        )
    if assistant.licence:
        yield (
            f'the licence of the weights of {assistant.name} is '
            f'{assistant.licence}'
        )
    if work_dir := detector.cfg.get('work_dir'):
        yield (
            f'work_dir={work_dir!r} is inherited: use --work-dir, or the '
            f"checkpoints mix with those of the detector's own training"
        )

r"""Train the detector of a config.

Examples:
  cbnet train configs/cbnet/quickstart.py
  cbnet train cbnet::cbnet/dual_lite0.py --data-root data/balloon
  cbnet train mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py \
      --data-root data/mine --train-ann a.json --val-ann b.json \
      --train-img images --val-img images
  cbnet train configs/cbnet/dual_r50.py --work-dir runs/r50 --resume
  cbnet train configs/cbnet/dual_r50.py --auto-scale-lr \
      --cfg-options train_dataloader.batch_size=4 randomness.seed=1
  cbnet train configs/cbnet/dual_r50.py --accumulate 4 --log-to tensorboard
  torchrun --nproc_per_node 8 -m cbnet train configs/cbnet/dual_r50.py \
      --launcher pytorch
"""

from ..choices import LOGGERS
from ..command_parser import CommandParser
from ..options import add_verify_option, run_parser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = run_parser(__name__, __doc__)
    parser.option(
        '--resume',
        'continue from this checkpoint; without FILE, from the newest one in '
        'the work dir, or from the start if there is none',
        nargs='?',
        const='auto',
        metavar='FILE',
    )
    parser.option(
        '--amp',
        'train in mixed precision: float16 on a GPU, bfloat16 on a CPU',
    )
    parser.option(
        '--auto-scale-lr',
        'scale the learning rate by the ratio of the batch size to '
        'auto_scale_lr.base_batch_size of the config; --data-root implies it',
    )
    parser.option(
        '--accumulate N',
        'accumulate the gradients of N batches for each optimizer step',
        int,
    )
    parser.option(
        '--log-to',
        'also send losses, AP and learning rates to these loggers',
        nargs='+',
        choices=LOGGERS,
        default=[],
    )
    add_verify_option(parser, 'load_from')
    add_data_options(parser)
    parser.option(
        '--no-val', 'train without evaluation, as with --val-ann none'
    )
    return parser


def add_data_options(parser: CommandParser) -> None:
    """Add the options that ``use_own_data`` reads, except ``--no-val``."""
    parser.section(
        'own data',
        'Train any config on a data set in COCO format. The classes, data '
        'sets, evaluators and learning rate of the config are adapted. '
        'Files and folders are relative to --data-root or to the working '
        'directory; those that are not given are searched for.',
    )
    parser.option('--data-root DIR', 'the folder of the data set')
    for split, use in (
        ('train', 'train on'),
        ('val', 'evaluate on'),
    ):
        parser.option(f'--{split}-ann FILE', f'the annotation file to {use}')
        parser.option(
            f'--{split}-img DIR',
            f'the folder of the images that {split}-ann names',
        )
    parser.option(
        '--skip-missing', 'leave out the images that are not in the folder'
    )
    parser.option(
        '--boxes-only',
        'leave out the mask head of the config, for data in which some '
        'objects have no mask',
    )

r"""Compare whole evaluations: cbnet test with mmdet's own tools/test.py.

Both evaluate the same checkpoint of the same config in processes that take
turns, and write the same detections, which are compared. The seconds are
those of the whole processes, with those that load images: start-up, reading,
computing, pasting, encoding, evaluating. A table says which part takes how
long.

"untrained" for CHECKPOINT stands for random weights that detect as many
objects as the config allows, of usual sizes and with smooth masks.

Examples:
  python tools/analysis_tools/testing_speed.py my_mask_rcnn.py my.pth \
      --rounds 5 --out testing
  python tools/analysis_tools/testing_speed.py my_mask_rcnn.py untrained \
      --options test_dataloader.dataset.indices=16 --out testing
"""

import json
import os
import resource
import subprocess
import sys
from argparse import (
    SUPPRESS,
    ArgumentParser,
    Namespace,
    RawDescriptionHelpFormatter,
)
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from cbnet_command import main as cbnet
from cbnet_command import prepare

CANDIDATES = {
    'mmdet': [],
    'cbnet test': [],
    'cbnet test --full-masks': ['--full-masks'],
    'cbnet test --fast': ['--fast'],
}


def make_parser() -> ArgumentParser:
    """Make the parser."""
    parser = ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('checkpoint', metavar='CHECKPOINT|untrained')
    parser.add_argument('--rounds', type=int, default=3, metavar='N')
    parser.add_argument(
        '--options', nargs='+', default=[], metavar='KEY=VALUE',
        help='what both commands get as --cfg-options',
    )  # fmt: skip
    parser.add_argument(
        '--candidates', nargs='+', choices=CANDIDATES, metavar='NAME',
        default=list(CANDIDATES),
        help=f'some of {", ".join(CANDIDATES)} (default: all); '
        f'the first one is the reference',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, required=True, metavar='STEM',
        help='writes STEM.json and STEM.md',
    )  # fmt: skip
    # What this tool calls itself with.
    parser.add_argument('--child', help=SUPPRESS)
    return parser


def main(args: Namespace) -> None:
    """Run all, and write what they took."""
    args.environment = dict(os.environ)  # without the threads settled here
    prepare()
    from cbnet.analysis.complexity.timing import Times, ratio

    names = args.candidates
    with TemporaryDirectory() as folder:
        if args.checkpoint == 'untrained':
            args.checkpoint = str(Path(folder, 'untrained.pth'))
            save_untrained(args.config, args.checkpoint)
        runs = {name: [] for name in names}
        for number in range(args.rounds):
            for name in names[:: -1 if number % 2 else 1]:
                runs[name].append(run(name, args, folder))
                print(name, runs[name][-1][:2], flush=True)
    lines = ['| | CPU s | ratio (quartiles) | s | ratio (quartiles) | equal |']
    lines += ['|---|---|---|---|---|---|']
    rows = []
    for name in names:
        parts = [one[3] for one in runs[name]]
        row = dict(
            name=name,
            parts={key: median(one[key] for one in parts) for key in parts[0]},
        )
        cells = [name]
        for place, clock in enumerate(('cpu', 'wall')):
            own, usual = (
                Times(tuple(one[place] for one in runs[key]))
                for key in (name, names[0])
            )
            found = ratio(usual, own)
            row[clock] = dict(seconds=own.seconds, ratio=vars(found))
            cells += [
                f'{own.median:.1f}',
                f'{found.median:.2f} ({found.low:.2f} to {found.high:.2f})',
            ]
        row['equal'] = runs[name][0][2] == runs[names[0]][0][2]
        rows.append(row)
        lines.append(f'| {" | ".join([*cells, str(row["equal"])])} |')
    keys = list(dict.fromkeys(key for row in rows for key in row['parts']))
    lines += ['', f'| CPU s of | {" | ".join(names)} |']
    lines.append('|---' * (len(names) + 1) + '|')
    for key in keys:
        found = [f'{row["parts"].get(key, 0):.2f}' for row in rows]
        lines.append(f'| {key} | {" | ".join(found)} |')
    print('\n'.join(lines))
    args.out.with_suffix('.json').write_text(json.dumps(rows, indent=1))
    args.out.with_suffix('.md').write_text('\n'.join(lines) + '\n')


def run(name: str, args: Namespace, folder: str) -> tuple:
    """Run a candidate.

    Returns:
        The seconds of CPUs and of the clock, without those that timing the
        parts took, the files of its detections, and the seconds of CPUs of
        each part.
    """
    options = [*args.options, f'test_evaluator.outfile_prefix={folder}/found']
    command = [sys.executable, __file__, args.config, args.checkpoint]
    command += ['--child', name, '--out', folder, '--options', *options]
    for file in Path(folder).glob('found.*.json'):
        file.unlink()  # of another candidate
    before = children()
    start = perf_counter()
    done = subprocess.run(
        command, env=args.environment, capture_output=True, text=True
    )
    wall, cpu = perf_counter() - start, children() - before
    if done.returncode:
        sys.exit(f'{name}: {done.stderr[-3000:]}')
    parts, own = json.loads(Path(folder, 'parts.json').read_text())
    files = sorted(Path(folder).glob('found.*.json'))
    if not files:
        sys.exit(
            f'{name}: it has written no detections that could be compared; '
            f"expected a test_evaluator of the type 'CocoMetric'"
        )
    found = [file.read_bytes() for file in files]
    return cpu - own[0], wall - own[1], found, parts


def children() -> float:
    """Return the seconds of CPUs of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def child(args: Namespace) -> None:
    """Evaluate as a user does, and time the parts."""
    given = [args.config, args.checkpoint, '--work-dir', str(args.out)]
    given += ['--cfg-options', *args.options, *CANDIDATES[args.child]]
    if args.child == 'mmdet':
        import runpy

        os.environ['CBNET_START'] = 'no'
        from cbnet.compat import install_ops
        from cbnet.compat.safe_globals import allow_checkpoint_globals

        install_ops()  # where mmcv comes without its compiled module
        allow_checkpoint_globals()
        import mmdet

        time_parts(args.out / 'parts.json', needless=True)
        script = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'test.py'
        sys.argv = [str(script), *given]
        runpy.run_path(str(script), run_name='__main__')
        return
    prepare()
    time_parts(args.out / 'parts.json')
    cbnet(['test', *given])


def time_parts(out: Path, needless: bool = False) -> None:
    """Let the next test write the seconds of its parts.

    Args:
        out: the file to write.
        needless: whether the test does without the imports of this function,
            whose seconds do not count then.
    """
    from contextlib import ExitStack

    import mmdet.models  # noqa: F401 (either candidate imports it)
    from mmengine.runner import Runner

    before = process_time(), perf_counter()
    from cbnet.analysis.benchmark.parts import PartClock, timed_parts
    from cbnet.compat.mmengine_internals import answer_calls

    own = process_time() - before[0], perf_counter() - before[1]
    own = own if needless else (0, 0)
    test = Runner.test

    def timed_test(runner: Runner) -> object:
        clock, loop = PartClock(clock='cpu'), runner.test_loop
        clock.seconds['start-up'] = process_time() - own[0]
        pairs = [
            (runner.model.roi_head, f'{kind}_{what}', f'{kind} {label}')
            for kind in ('bbox', 'mask')
            for what, label in (('head', 'head'), ('roi_extractor', 'RoIs'))
        ]
        calls = [
            (getattr(head, part), 'forward', name)
            for head, part, name in pairs
            if getattr(head, part, None) is not None
        ]
        for metric in loop.evaluator.metrics:
            calls.append((metric, 'process', 'encoding masks'))
            calls.append((metric, 'compute_metrics', 'evaluation'))
        with ExitStack() as stack:
            stack.enter_context(timed_parts(runner.model, clock))
            for owner, method, name in calls:
                call = getattr(owner, method)
                timed = in_part(clock, name, call)
                stack.enter_context(answer_calls(owner, method, timed))
            with clock.run('the rest'):
                found = test(runner)
        loop.dataloader._iterator = None  # its workers end, and are counted
        clock.seconds['reading images'] = children()
        out.write_text(json.dumps([clock.seconds, own]))
        return found

    Runner.test = timed_test


def in_part(clock: object, name: str, call: object) -> object:
    """Let a clock count the calls of a function."""

    def timed(*args: object, **options: object) -> object:
        with clock.run(name):
            return call(*args, **options)

    return timed


def save_untrained(config: str, path: str) -> None:
    """Write random weights that detect objects of usual sizes."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    cfg = Config.fromfile(config).model
    cfg.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    state = model.state_dict()
    for name, values in state.items():
        if name.endswith('bn3.weight'):  # else maps grow in every block
            values.fill_(0.2)
        elif name.endswith('mask_head.conv_logits.weight'):
            values.mul_(0.02)
        elif name.endswith('mask_head.conv_logits.bias'):
            values.fill_(1)
        elif name.endswith('fc_reg.bias'):  # boxes 1.8 times as large
            values.view(-1, 4)[:, 2:] = 3
        elif name.endswith('fc_cls.weight'):
            values.mul_(4)
    torch.save(dict(state_dict=state), path)


if __name__ == '__main__':
    given = make_parser().parse_args()
    child(given) if given.child else main(given)

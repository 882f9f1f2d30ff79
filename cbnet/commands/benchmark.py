"""Compare the speed of detectors, as ``cbnet benchmark``."""

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from ..analysis.benchmark.candidates import Candidate, Setting, make_candidate
from ..analysis.benchmark.comparing import compare
from ..analysis.benchmark.report import Point, as_json, markdown
from ..atomic_files import write_whole
from ..errors import UserValueError
from ..testing import make_batch
from .choices import AXES
from .command_line import load_config

_BOXES = 5  # in each image that is trained on
_SHAPE = re.compile(r'(\d+)x(\d+)')


def run(args: Namespace) -> None:
    """Measure, print and write."""
    axis, values = read_sweep(args.sweep)
    variants = [read_variant(text) for text in args.variant]
    setting = read_setting(args)
    points = []
    for value in values or [None]:
        chosen, members = setting, None
        if axis == 'members':
            members = value
        elif axis:
            chosen = replace(setting, **{axis: value})
        candidates = build(args, variants, chosen, members)
        if len(candidates) == 1:
            print(f'one candidate: {candidates[0].name}', flush=True)
        found = compare(candidates, args.rounds, part_passes=args.part_passes)
        text = 'x'.join(map(str, value)) if axis == 'shape' else str(value)
        points.append(Point(chosen, found, f'{axis} {text}' if axis else ''))
        print(markdown(points[-1:]), flush=True)
    write(args, points, axis)


def build(
    args: Namespace,
    variants: list[tuple[str, list[str]]],
    setting: Setting,
    members: int | None,
) -> list[Candidate]:
    """Build all candidates, the reference first.

    Raises:
        ValueError: a config or an override is wrong, or two are one.
    """
    names = dict.fromkeys([args.config, *args.more])
    plan: list[tuple[str, str, list[str]]] = []
    if args.against:
        plan.append((args.against, '', []))
    for config in names:
        if config != args.against:
            plan.append((config, '', []))
        plan += [(config, f' ({name})', more) for name, more in variants]
    candidates: list[Candidate] = []
    for config, ending, more in plan:
        cfg = read(args, config, more)
        if members is not None:
            set_members(cfg, members)
        name = f'{Path(config.rpartition("::")[2]).stem}{ending}'
        if any(name == one.name for one in candidates):
            name = f'{config}{ending}'
        known = [one.detector.state_dict() for one in candidates]
        candidates.append(make_candidate(name, cfg, setting, known))
    return candidates


def read(args: Namespace, config: str, more: list[str]) -> Config:
    """Read a config with the overrides of all, and those of a variant."""
    options = [*(args.cfg_options or ()), *more]
    return load_config(
        Namespace(config=config, cfg_options=options, launcher='none')
    )


def read_variant(text: str) -> tuple[str, list[str]]:
    """Read ``NAME: KEY=VALUE ...``.

    Raises:
        ValueError: the name or the overrides are missing.
    """
    name, colon, overrides = text.partition(':')
    words = overrides.split()
    if not colon or not name.strip() or not words:
        raise UserValueError(
            f'--variant {text!r}; expected a name, a colon and overrides, '
            f'such as "compiled: compile=True"'
        )
    return name.strip(), words


def read_sweep(words: list[str] | None) -> tuple[str, list[Any]]:
    """Read the axis and the values of a sweep; empty without one.

    Raises:
        ValueError: there is no such axis, or a value does not fit it.
    """
    if not words:
        return '', []
    axis, *texts = words
    if axis not in AXES or not texts:
        raise UserValueError(
            f'--sweep {" ".join(words)}; expected one of {", ".join(AXES)} '
            f'and then values, such as batch 1 2 4'
        )
    return axis, [*_values(axis, texts)]


def _values(axis: str, texts: list[str]) -> Iterator[Any]:
    for text in texts:
        found = _SHAPE.fullmatch(text) if axis == 'shape' else None
        if found and min(int(found[1]), int(found[2])) >= 32:
            yield int(found[1]), int(found[2])
        elif axis != 'shape' and text.isdecimal() and int(text):
            yield int(text)
        else:
            what = (
                'HxW of 32 pixels or more' if axis == 'shape' else '1 or more'
            )
            raise UserValueError(f'--sweep {axis}: {text!r}, expected {what}')


def read_setting(args: Namespace) -> Setting:
    """Put the options together.

    Raises:
        ValueError: there is no such device, or a shape has more than two
            numbers.
    """
    if len(args.shape) > 2:
        raise UserValueError(
            f'--shape: {len(args.shape)} numbers, expected a height and a '
            f'width'
        )
    device = args.device or get_device()
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserValueError(
            f'--device {device!r} cannot be used; expected cpu, or cuda:N '
            f'with a GPU ({str(error).splitlines()[0]})'
        ) from error
    return Setting(
        shape=tuple(args.shape * 2 if len(args.shape) == 1 else args.shape),
        batch=args.batch,
        device=device,
        dtype=args.dtype,
        train=args.train,
        only=args.only,
        clock=args.clock,
        compiled=args.compile,
        batch_of=batch_of,
    )


def batch_of(shape: tuple[int, int], number: int) -> dict[str, Any]:
    """Make a batch to train on; every detector has the class 0."""
    return make_batch((_BOXES,) * number, shape, num_classes=1)


def set_members(cfg: Config, number: int) -> None:
    """Let a composite have a number of members, each with assistance.

    Raises:
        ValueError: its members are not copies of one.
    """
    backbone = cfg.model.get('backbone') or {}
    if backbone.get('type') != 'CompositeBackbone':
        return
    if isinstance(backbone.member, list):
        raise UserValueError(
            f'--sweep members: {cfg.filename} lists its members one by one'
        )
    backbone.num_members = number
    assistance = cfg.model.get('assistance')
    if assistance:
        weights = [*assistance.get('weights', [0.5])]
        assistance.weights = (weights + [weights[-1]] * number)[: number - 1]


def write(args: Namespace, points: list[Point], axis: str) -> None:
    """Write what the options ask for."""
    if args.json:
        text = json.dumps(as_json(points, axis), indent=1)
        keep(args.json, f'{text}\n')
    if args.markdown:
        keep(args.markdown, markdown(points))
    if args.plot:
        from ..analysis.benchmark.figure import draw

        args.plot.parent.mkdir(parents=True, exist_ok=True)
        draw(points, axis).savefig(args.plot, dpi=120)
        print(f'written: {args.plot}')


def keep(file: Path, text: str) -> None:
    """Write a file as a whole, and say so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text.encode())
    print(f'written: {file}')

"""The one place that uses private names of mmengine or replaces methods.

Each function and class says why mmengine 0.10.7's public interface is not
enough.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.infer import BaseInferencer
from mmengine.model import BaseModel
from mmengine.registry import Registry
from mmengine.runner import (
    BaseLoop,
    CheckpointLoader,
    EpochBasedTrainLoop,
    Runner,
)
from mmengine.runner import checkpoint as loading
from torch import Tensor, nn

Wrap = Callable[[Callable[..., Any]], Any]

# What objects know and do not publish.


def load_source(runner: Runner) -> str | None:
    """Return the checkpoint of ``load_from``, which ``cfg`` may not hold."""
    return runner._load_from


def is_resuming(runner: Runner) -> bool:
    """Tell whether the run resumes, which ``cfg`` may not hold."""
    return runner._resume


def built_train_loop(runner: Runner) -> BaseLoop | None:
    """Return the training loop, or None in a run that does not train.

    The public ``runner.train_loop`` would build the loop and its data.
    """
    loop = runner._train_loop
    return loop if isinstance(loop, BaseLoop) else None


def normalisation(
    preprocessor: nn.Module,
) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Tell how a data preprocessor normalises images that are read as BGR.

    Returns:
        The mean and the standard deviation of each channel, and whether the
        channels are reordered, to RGB.  On the meta device, where a model
        is only measured, there are no numbers.
    """
    mean, std = (0.0,) * 3, (1.0,) * 3
    on = getattr(preprocessor, '_enable_normalize', False)
    if on and not preprocessor.mean.is_meta:
        mean, std = (
            tuple(buffer.flatten().expand(3).tolist())
            for buffer in (preprocessor.mean, preprocessor.std)
        )
    return mean, std, getattr(preprocessor, '_channel_conversion', False)


def name_dumped_config(cfg: Config, ending: str) -> None:
    """Let the runner write its config to ``<name>_<ending>.py``.

    A runner writes its config into the work dir under the name of the file
    that it was read from: an evaluation in the work dir of a training run
    would replace that run's config.
    """
    path = Path(cfg.filename)
    name = path.with_stem(f'{path.stem}_{ending}')
    object.__setattr__(cfg, '_filename', str(name))  # Config's would set a key


def base_files(path: Path) -> list[str]:
    """List the configs that a config file names as its bases."""
    return Config._get_base_files(str(path))


def is_pure_python(path: Path) -> bool:
    """Tell whether a config imports its types instead of naming them.

    mmengine has no public name for this test.  For a broken file it is False.
    """
    if path.suffix != '.py':
        return False
    with suppress(SyntaxError):  # reading the file will say where
        return Config._is_lazy_import(str(path))
    return False


# Methods replaced on one object.


@contextmanager
def answer_calls(
    owner: Any, method: str, answer: Callable[..., Any]
) -> Iterator[None]:
    """Let a function answer the calls of an object's method in the block.

    mmdet's heads offer no other access to what they pass to each other.
    """
    before = vars(owner).get(method)  # of a block around this one
    setattr(owner, method, answer)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, method)
        else:
            setattr(owner, method, before)


def call_on_losses(
    model: BaseModel, look: Callable[[Tensor, dict[str, Tensor]], None]
) -> Callable[[], None]:
    """Show every sum of losses to a function; return one that ends this.

    mmengine calls no hook between the forward and the backward pass.  Every
    model passes its losses, not yet scaled, through ``parse_losses`` there.

    Args:
        model: the model, without a wrapper.
        look: the function, which takes the sum and the losses by name.
    """
    parse = model.parse_losses

    # A closure, because copies of the model share a function, whereas a
    # bound method would be copied with everything that it refers to.
    def parse_losses(losses: Any) -> tuple[Tensor, dict[str, Tensor]]:
        total, values = parse(losses)
        if isinstance(total, Tensor):  # the sum of no losses is the int 0
            look(total, values)
        return total, values

    model.parse_losses = parse_losses
    return lambda: delattr(model, 'parse_losses')


def call_on_error(loop: BaseLoop, stop: Callable[[Exception], None]) -> None:
    """Call a function with an error that leaves the loop, then raise it.

    mmengine calls no hook when training fails.
    """
    run = loop.run

    def run_or_stop() -> Any:
        try:
            return run()
        except Exception as error:
            stop(error)
            raise

    loop.run = run_or_stop


def skip_batches(loop: EpochBasedTrainLoop, count: int) -> None:
    """Load, but do not train, the first batches of the current epoch.

    mmengine's loop of epochs can only resume at the start of an epoch.
    """
    run_iter, epoch = loop.run_iter, loop.epoch

    def run_later_iter(idx: int, data_batch: Any) -> None:
        if loop.epoch > epoch or idx >= count:
            run_iter(idx, data_batch)

    loop.run_iter = run_later_iter


def save_on_this_process(runner: Runner, *args: Any, **options: Any) -> None:
    """Call ``runner.save_checkpoint`` on a process that may not be the main.

    mmengine's method does nothing on the other processes.
    """
    inspect.unwrap(Runner.save_checkpoint)(runner, *args, **options)


# Methods that subclasses override, under public names.


class OverridableCheckpointHook(CheckpointHook):
    """Give a public name to the method that saves.

    In mmengine one private method removes old checkpoints and then saves.
    """

    def save_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        """Save the checkpoint of an iteration or epoch."""
        super()._save_checkpoint_with_step(runner, step, meta)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        self.save_step(runner, step, meta)


class OverridableEMAHook(EMAHook):
    """Give a public name to the exchange of weights.

    mmengine calls it before and after every validation and test.
    """

    def exchange_weights(self) -> None:
        """Exchange the model's weights with the averaged ones."""
        super()._swap_ema_parameters()

    def _swap_ema_parameters(self) -> None:
        self.exchange_weights()


# Functions of mmengine, replaced for the whole process.


def replace_registered(registry: Registry, name: str, kind: type) -> None:
    """Register a class under a name that another class has.

    Configs keep the name, because other tools look for it there.
    """
    registry.register_module(name, force=True, module=kind)


def wrap_pipelines(wrap: Wrap) -> None:
    """Wrap the call of every pipeline, once.

    mmengine's data sets make and call their pipelines themselves.
    """
    if not hasattr(Compose.__call__, 'cbnet'):
        Compose.__call__ = wrap(Compose.__call__)
        Compose.__call__.cbnet = True


def failing_transform(error: Exception) -> str:
    """Name the transform of a pipeline that raised an error, if one did.

    A pipeline does not say at which of its transforms it is.
    """
    code, name = inspect.unwrap(Compose.__call__).__code__, ''
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is code:
            name = type(frame.f_locals.get('t')).__name__
    return name


def wrap_readers(
    checkpoint: Wrap, download: Wrap, load: Callable[..., Any], parse: Wrap
) -> None:
    """Wrap the functions through which mmengine reads checkpoints, once.

    mmengine asks torch for its unsafe loading and executes the config text
    inside a checkpoint; no option prevents either.

    Args:
        checkpoint: the wrapper of the loader of all checkpoints, which takes
            the class as its first argument.
        download: the wrapper of the loader for http addresses.
        load: what the loaders of all other schemes call as ``torch.load``.
        parse: the wrapper of ``Config.fromstring``.

    Raises:
        ImportError: one of them takes other arguments than expected.
    """
    original = CheckpointLoader.load_checkpoint
    if hasattr(original, 'cbnet'):
        return
    expected = {
        original: ['filename', 'map_location'],
        Config.fromstring: ['cfg_str', 'file_format'],
        loading.load_url: ['url', 'model_dir', 'map_location'],
    }
    for function, names in expected.items():
        found = list(inspect.signature(function).parameters)
        if found[: len(names)] != names:
            raise ImportError(
                f'mmengine changed: {function.__qualname__} takes {found}, '
                f'expected {names} first, so cbnet cannot make the loading '
                f"of checkpoints safe; run: pip install 'mmengine==0.10.7'"
            )
    wrapped = checkpoint(original.__func__)
    wrapped.cbnet = True
    CheckpointLoader.load_checkpoint = classmethod(wrapped)
    loading.load_url = download(loading.load_url)
    # The module's own torch: all its functions find it, also those that were
    # imported from there before, and nobody else does.
    seen = ModuleType('torch')
    vars(seen).update(__getattr__=partial(getattr, torch), load=load)
    loading.torch = seen
    if hasattr(loading, '_safe_torch_load'):
        # Of the fork onedl-mmengine: it answers a refusal with a line about
        # unsafe loading, which it then tries.
        loading._safe_torch_load = load
    Config.fromstring = staticmethod(parse(Config.fromstring))


def wrap_users(resume: Wrap, build: Wrap) -> None:
    """Wrap the methods that believe what a checkpoint holds, once.

    Both take parts of it without checking them, and mmengine calls no hook
    around either.

    Args:
        resume: the wrapper of ``Runner.resume``, whose second argument is
            the name of the file.
        build: the wrapper of the method with which mmengine's inferencers
            build a model, whose third argument is the name of the file.
    """
    if not hasattr(Runner.resume, 'cbnet'):
        Runner.resume = resume(Runner.resume)
        Runner.resume.cbnet = True
        BaseInferencer._init_model = build(BaseInferencer._init_model)

"""Compare a file and the detector that loaded it with the file's fingerprint.

Equal weights do not make an equal detector: a config with another style,
another epsilon of a norm or other image statistics loads the same file.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from ..arguments import validated
from ..checkpoints.fingerprint import (
    Fingerprint,
    Recorded,
    changes,
    read_fingerprint,
)
from ..checkpoints.weight_files import find_weights
from ..compat.mmengine_internals import load_source
from ..errors import UserValueError
from ..messages import listed, one_line
from .checked_saving import bare_model
from .probe import TOLERANCE, distance, record_outputs, run_probe, stray


class VerificationError(UserValueError):
    """A file or a detector is not what the fingerprint says."""


def verify_weights(file: Mapping[str, Any], source: str) -> Fingerprint:
    """Return the fingerprint of a file whose weights agree with it.

    Args:
        file: the content of the file.
        source: the name of the file, for errors.

    Raises:
        VerificationError: there is no fingerprint, or weights differ; the
            message names them.
    """
    made = read_fingerprint(file, source)
    if made is None:
        raise VerificationError(
            f'{source} has no fingerprint, so there is nothing to verify it '
            f'with; `cbnet publish` writes files that have one'
        )
    wrong = changes(find_weights(file, source), file.get('meta'), made)
    if wrong:
        raise VerificationError(
            f'{source} fails the verification: its weights are not those '
            f'that it was written with: {wrong}. Download or copy it again'
        )
    return made


def verify_outputs(model: nn.Module, made: Fingerprint, source: str) -> None:
    """Compare a detector with a fingerprint; log a line if they agree.

    Args:
        model: the detector with the weights of the file; it stays in eval
            mode.
        made: the fingerprint of the file.
        source: the name of the file, for the line and for errors.

    Raises:
        VerificationError: outputs differ by more than the tolerance; the
            message names the first ones in the order of computation.
    """
    found = run_probe(model) if made.outputs else {}
    recorded = {
        n: v for n, v in made.outputs.items() if not isinstance(v, str)
    }
    apart = {n: distance(found.get(n, ''), v) for n, v in recorded.items()}
    far = [
        f'{name} by {away:.2g}'
        for name, away in apart.items()
        if not away <= TOLERANCE
    ]
    if far:
        failed = [
            (part, reason)
            for part, reason in found.items()
            if isinstance(reason, str) and part not in made.outputs
        ]
        raise VerificationError(
            f'{source} fails the verification: its weights are as they were '
            f'written, but {len(far)} of {len(recorded)} outputs of the '
            f'detector on a fixed image differ from the recorded ones by '
            f'more than {TOLERANCE:g} ({listed(far, 3)}), so the config or '
            f'the code computes something else. Compare the config with the '
            f"file's own, data_preprocessor included"
            + ''.join(f'. {part}: {reason}' for part, reason in failed)
        )
    line = f'verified {source}: {len(made.weights)} weights'
    if recorded:
        furthest = max(apart.values())
        line += (
            f' and {len(recorded)} outputs (they differ by at most '
            f'{furthest:.1g}, allowed are {TOLERANCE:g})'
        )
    else:
        line += ', but no outputs, because none are recorded'
    left = [
        one_line(f'{name}, {reason}', 200)
        for name, reason in made.outputs.items()
        if isinstance(reason, str)
    ]
    if left:
        line += f'; not compared: {listed(left, 3)}'
    print_log(line, 'current')


@HOOKS.register_module()
@validated
class VerificationHook(Hook):
    """Verify the file that a run loads, before it trains or evaluates."""

    def before_run(self, runner: Runner) -> None:
        """Refuse a run that loads no file.

        Raises:
            ValueError: ``load_from`` is not set.
        """
        self.source = load_source(runner)
        if not self.source:
            raise UserValueError(
                '--verify needs a file to verify; set load_from'
            )

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Verify the weights of the file."""
        self.made = verify_weights(checkpoint, self.source)

    def before_train(self, runner: Runner) -> None:
        """Verify what the detector computes with them."""
        verify_outputs(bare_model(runner), self.made, self.source)

    before_test = before_train


def record_detector(cfg: Config, weights: Mapping[str, Tensor]) -> Recorded:
    """Build the detector of a config on the CPU and record its outputs.

    Args:
        cfg: the whole config, which gives the scope.
        weights: the weights of the detector.  Outputs that depend on the
            initial values of others are not recorded, and a text says so.
    """
    model = build_detector(cfg, weights)
    recorded = record_outputs(model)
    if model.state_dict().keys() - weights.keys():
        again = run_probe(build_detector(cfg, weights))
        for name, values in recorded.items():
            if not isinstance(values, str) and stray(again[name], values):
                recorded[name] = 'it depends on weights that the file lacks'
    return recorded


def build_detector(cfg: Config, weights: Mapping[str, Tensor]) -> nn.Module:
    """Build the detector of a config on the CPU with some weights.

    Args:
        cfg: the whole config, which gives the scope.
        weights: the weights; others keep their initial values, and names
            that the detector does not have are ignored.
    """
    scope = cfg.get('default_scope') or 'mmdet'
    with DefaultScope.overwrite_default_scope(scope):
        model = revert_sync_batchnorm(MODELS.build(deepcopy(cfg.model)))
    model.load_state_dict(weights, strict=False)
    return model

"""The options of connections, which differ between member families."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from ..options import NormConfig, Options


@dataclass(frozen=True)
class ConnectionOptions(Options):
    """How the edges are computed; each member family has its own defaults.

    Attributes:
        norm_cfg: the normalisation after each 1x1 convolution, or None.
        bias: whether the convolutions have a bias.
        identity: whether an edge between equal channels has no convolution.
        normed_source: whether edges read a stage's emitted (normed) map
            instead of its raw output.
        zero_init: whether the last layer of each edge starts at zero.
        init: ``'zero'``: so does every edge; an identity gets a scale. A
            number: every edge starts with this factor instead.
    """

    key = 'connection'

    norm_cfg: NormConfig | None = None
    bias: bool = True
    identity: bool = False
    normed_source: bool = False
    zero_init: bool = True
    init: Literal['zero'] | Annotated[float, Gt(0)] | None = None

    @property
    def start(self) -> float | None:
        """The factor that edges start with; None: the usual numbers."""
        if self.init is None:
            return 0.0 if self.zero_init else None
        return 0.0 if self.init == 'zero' else self.init

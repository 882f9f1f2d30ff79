"""A plain backbone of four stages, and others that break one obligation."""

import torch
from torch import nn


class Stages(nn.Module):
    """A backbone of four stages, from which tests break one obligation."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, stride=4)
        self.stages = nn.ModuleList(
            nn.Conv2d(4, 4, 3, padding=1, stride=1 if i == 0 else 2)
            for i in range(4)
        )

    def forward(self, x):
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class Apart(Stages):
    """Each stage sees the stem only."""

    def forward(self, x):
        x = self.stem(x)
        return tuple(
            stage(x[..., :: 2**i, :: 2**i])
            for i, stage in enumerate(self.stages)
        )


class Repeated(Stages):
    """The last stages are one module."""

    def __init__(self):
        super().__init__()
        self.stages[3] = self.stages[2]


class Restless(Stages):
    """Every pass gives other maps."""

    def forward(self, x):
        return super().forward(x + torch.rand(1))


class Functional(Stages):
    """The second stage is no module."""

    def forward(self, x):
        maps = list(super().forward(x))
        maps[1] = maps[1].sin()
        return tuple(maps)


class Backwards(Stages):
    """The largest map comes last."""

    def forward(self, x):
        return super().forward(x)[::-1]


class Tokens(Stages):
    """It returns no maps."""

    def forward(self, x):
        return tuple(y.flatten(2) for y in super().forward(x))


class Large(Stages):
    """It runs on large images only."""

    def forward(self, x):
        if x.shape[-1] < 999:
            raise AssertionError
        return super().forward(x)

"""What became of a pretrained file: a report a member, one line long."""

from dataclasses import dataclass

from ..messages import counted


@dataclass(frozen=True)
class LoadReport:
    """What was loaded into a member, and what was not.

    Args:
        source: the file.
        path: where in it the weights stand, such as ``'state_dict.'``.
        layout: whose names they had.
        loaded: the member's names of what was loaded.
        renamed: those of them that the file calls otherwise.
        resized: those of them that were resized.
        shared: names in the file that belong to stages of another member.
        new: names of the member that such files lack; they keep the values
            that they were built with.
        ignored: names below ``path`` that the backbone has no use for.
        outside: how many tensors of the file stand elsewhere.
    """

    source: str
    path: str
    layout: str
    loaded: tuple[str, ...]
    renamed: tuple[str, ...]
    resized: tuple[str, ...]
    shared: tuple[str, ...]
    new: tuple[str, ...]
    ignored: tuple[str, ...]
    outside: int

    def __str__(self) -> str:
        """Put everything into one line."""
        where = f' under {self.path!r}' if self.path else ''
        return (
            f'loaded {len(self.loaded)} entries of {self.source}{where}; '
            f'renamed {len(self.renamed)}'
            + (f' ({self.layout})' if self.renamed else '')
            + f'; resized {counted(self.resized)}'
            f'; shared {len(self.shared)}'
            f'; new {counted(self.new)}'
            f'; ignored {counted(self.ignored)}'
            + (f'; elsewhere in the file {self.outside}' * bool(self.outside))
        )

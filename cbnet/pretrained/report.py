"""The report of a pretrained file that was loaded into a member."""

from dataclasses import dataclass

from ..messages import counted


@dataclass(frozen=True)
class LoadReport:
    """The names that were loaded into a member, and those that were not.

    Attributes:
        source: the name of the file.
        path: the place of the weights in the file, such as
            ``'state_dict.'``.
        layout: the title of the layout that the weights have in the file.
        loaded: the member's names of the loaded weights.
        renamed: the loaded names that differ from those in the file.
        resized: the loaded names whose weights were resized.
        shared: the names in the file that belong to stages of another
            member.
        new: the member's names that such files lack; these weights keep
            their initial values.
        ignored: the names below ``path`` that the member has no use for.
        outside: the number of the file's tensors that are elsewhere.
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
        """Describe everything in one line."""
        where = f' under {self.path!r}' if self.path else ''
        whose = f' ({self.layout})' if self.renamed else ''
        line = (
            f'loaded {len(self.loaded)} entries of {self.source}{where}; '
            f'renamed {len(self.renamed)}{whose}; '
            f'resized {counted(self.resized)}; shared {len(self.shared)}; '
            f'new {counted(self.new)}; ignored {counted(self.ignored)}'
        )
        if self.outside:
            line += f'; elsewhere in the file {self.outside}'
        return line

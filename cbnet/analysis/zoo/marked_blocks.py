"""Replace the parts of a page that a tool writes, between two comments.

A block of a Markdown page is what stands between ``<!-- NAME -->`` and
``<!-- end of NAME -->``, each on a line of its own; the rest is by hand.
"""

from collections.abc import Mapping

from ...errors import UserValueError


def fill_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """Give a page with its blocks filled in.

    Args:
        text: the page.
        blocks: what stands in each block, by name.

    Raises:
        ValueError: a block's comments are missing, or there more than once,
            or the wrong way round.
    """
    for name, content in blocks.items():
        first, last = f'<!-- {name} -->\n', f'<!-- end of {name} -->'
        if text.count(first) != 1 or text.count(last) != 1:
            raise UserValueError(
                f'expected one block of lines {first.strip()!r} and {last!r}'
            )
        before, _, rest = text.partition(first)
        _, end, after = rest.partition(last)
        if not end:
            raise UserValueError(f'{last!r} stands before {first.strip()!r}')
        text = f'{before}{first}{content}\n{last}{after}'
    return text

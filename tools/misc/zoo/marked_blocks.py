"""Replace the generated blocks of a Markdown page.

A block stands between the lines ``<!-- NAME -->`` and
``<!-- end of NAME -->``; everything else is written by hand.
"""

from collections.abc import Mapping

from cbnet.errors import UserValueError


def fill_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """Return a page with its blocks filled in.

    Args:
        text: the page.
        blocks: the content of each block, by name.

    Raises:
        ValueError: the comments of a block are missing, occur more than
            once, or stand in the wrong order.
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

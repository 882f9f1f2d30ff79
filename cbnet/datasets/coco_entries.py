"""Rules for the entries of COCO files.

``rule_problem`` describes what is wrong in one sentence; if nothing is, it
returns an empty string.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from ..messages import brief, listed

#: a test of a value, and what is expected of it
Rule = tuple[Callable[[Any], bool], str]
#: takes an annotation or a detection and the entry of its image
Check = Callable[[dict[str, Any], dict[str, Any]], str]


def wrong_entries(
    name: str,
    entries: Iterable[dict[str, Any]],
    rules: Mapping[str, Rule],
    images: Mapping[int | str, dict] | None = None,
    checks: Iterable[Check] = (),
) -> Iterator[str]:
    """Yield the place and the first problem of each wrong entry of a list.

    An entry that keeps the rules for its keys is checked further, together
    with the entry of its image, which is found by its id in ``images``.
    """
    for place, entry in enumerate(entries):
        problem = rule_problem(entry, rules)
        for check in checks:
            problem = problem or check(entry, images[entry['image_id']])
        if problem:
            key = f' (id {entry["id"]!r})' if 'id' in entry else ''
            yield f'{name}[{place}]{key}: {problem}'


class _Missing:
    """Stands for the value of a key that an entry does not have."""

    def __repr__(self) -> str:
        return 'missing'


MISSING = _Missing()


def rule_problem(entry: dict[str, Any], rules: Mapping[str, Rule]) -> str:
    """Check the values of an entry; that of a missing key is ``MISSING``."""
    for key, (is_right, expected) in rules.items():
        value = entry.get(key, MISSING)
        if not is_right(value):
            return f'{key} is {brief(value)}, expected {expected}'
    return ''


NUMBERS = (int, float)
_MOST = 1e300  # larger integers do not fit a float


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    # Every number of a file comes here, which may be 50 million.
    return isinstance(value, NUMBERS) and (
        value is not True and value is not False and -_MOST <= value <= _MOST
    )


def is_id(value: Any) -> bool:
    """Tell whether a value can be an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**63  # numpy has no larger integers
    return isinstance(value, str)


def reference_rules(
    images: Collection[int | str],
    categories: Collection[int | str],
    advice: str,
) -> dict[str, Rule]:
    """Make the rules for the ids of an entry's image and category."""
    numbers = listed(sorted(map(str, categories)), 10)
    return {
        'image_id': (
            lambda value: is_id(value) and value in images,
            f'the id of an image of the annotation file; {advice}',
        ),
        'category_id': (
            lambda value: is_id(value) and value in categories,
            f'one of {numbers}; {advice}',
        ),
    }


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 4
        and all(map(is_number, value))
    )


#: The longest side of an image. JPEG has 65535, and every pixel of an edge of
#: a polygon takes memory.
LONGEST = 1_000_000
PIXELS: Rule = (
    lambda n: isinstance(n, int) and is_number(n) and 1 <= n <= LONGEST,
    'a whole number of pixels',
)
BOX: Rule = _is_box, 'four numbers: x, y, width, height'
# Other values crash the evaluation, or make objects vanish without a word.
CROWD: Rule = (
    lambda value: value is MISSING or (is_number(value) and value in (0, 1)),
    '0, or 1 for a group of objects that is neither learned nor evaluated; '
    'correct or remove the key',
)
IGNORE: Rule = (
    lambda value: value is MISSING or not value,
    '0: training would leave the object out, and the evaluation would count '
    'it as missed; remove the key, or set iscrowd to 1',
)

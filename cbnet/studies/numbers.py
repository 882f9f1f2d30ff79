"""Numbers as the tables and sentences of a study show them."""


def number(value: float | None, layout: str = '{:.3f}') -> str:
    """Show a number, or a dash for None."""
    return '-' if value is None else layout.format(value)


def in_unit(value: float | None, unit: float, digits: int) -> str:
    """Show a number in a unit, with so many digits, or a dash for None."""
    shown = None if value is None else value / unit
    return number(shown, f'{{:.{digits}f}}')


def plus_minus(
    mean: float | None, half: float | None, layout: str = '{:.3f}'
) -> str:
    """Show a mean, and after ± how far values lie apart, if it is known."""
    return number(mean, layout) + ('' if half is None else f' ± {half:.3f}')

"""Copies of the ground truth, because heads change what they are given."""

from mmengine.structures import BaseDataElement


def fresh(element: BaseDataElement) -> BaseDataElement:
    """Copy the containers of a data element, share its tensors."""
    copy = element.new()
    for name, value in list(copy.items()):
        if isinstance(value, BaseDataElement):
            copy.set_field(fresh(value), name)
    return copy

"""Copies of the ground truth, because heads change what they are given."""

from typing import Any

from mmengine.structures import BaseDataElement


def fresh(value: Any) -> Any:
    """Copy containers at any depth, share the tensors in them.

    Args:
        value: a data element, or a list or dict of such: a batch of images,
            the frames of a video, the branches of a semi-supervised batch.
    """
    if isinstance(value, list):
        return [fresh(part) for part in value]
    if isinstance(value, dict):
        return {name: fresh(part) for name, part in value.items()}
    if not isinstance(value, BaseDataElement):
        return value
    copy = value.new()
    for name, part in list(copy.items()):
        if isinstance(part, BaseDataElement | list | dict):
            copy.set_field(fresh(part), name)
    return copy

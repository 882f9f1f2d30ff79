"""Pretrained weights into every member, one log line a member.

A member's ``init_cfg=dict(type='Pretrained', checkpoint=...)`` names a file,
a URL, mmengine's ``torchvision://NAME``, or one of the two schemes added
here: ``timm://NAME`` (timm's own weights) and ``package://MODULE/PATH`` (a
file inside an installed package).  ``prefix`` says where in the file to look,
where that is not plain.
"""

from . import schemes as schemes  # registers them
from .members import init_member, load_into, names_a_file
from .report import LoadReport

__all__ = ['LoadReport', 'init_member', 'load_into', 'names_a_file']

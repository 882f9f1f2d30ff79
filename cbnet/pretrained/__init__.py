"""Load pretrained weights into every member, with one log line per member.

A member's ``init_cfg=dict(type='Pretrained', checkpoint=...)`` names a file,
an address, mmengine's ``torchvision://NAME``, or one of two further schemes:
``timm://NAME`` (timm's own weights) and ``package://MODULE/PATH`` (a file
inside an installed package).  ``prefix`` chooses a part of the file if
several could be meant.
"""

from ..checkpoints.report import LoadReport
from . import schemes as schemes  # registers them
from .members import init_member, load_into, names_a_file
from .packages import packaged_file
from .safe_timm import create_timm_model

__all__ = [
    'LoadReport',
    'create_timm_model',
    'init_member',
    'load_into',
    'names_a_file',
    'packaged_file',
]

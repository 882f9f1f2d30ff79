"""The scope ``cbnet``: configs inherited through ``cbnet::`` build here.

Everything of this package is registered in mmdet's registries, because a
config's default scope is ``mmdet``.  mmengine marks what comes from a
``cbnet::`` base with the scope ``cbnet``; a child of each mmdet registry
answers to that scope and passes every name on to its parent.
"""

import warnings

import mmdet.registry
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

# mmengine's way to find configs of packages; the dependency bound keeps a
# setuptools that has it, so the advice to users is none they can follow.
warnings.filterwarnings('ignore', 'pkg_resources is deprecated')

# mmengine takes `name::` only for names listed here, and looks the package
# up by its distribution, whose folder is a wrong one in editable installs;
# what is no distribution it looks up as a module, right in both.
MODULE2PACKAGE['cbnet'] = 'cbnet.registry'

SCOPED = {
    name: Registry(
        parent.name, parent=parent, scope='cbnet', locations=['cbnet']
    )
    for name, parent in vars(mmdet.registry).items()
    if isinstance(parent, Registry)
}

"""Define the scope ``cbnet``, in which ``cbnet::`` configs are built.

Everything in this package is registered in mmdet's registries, because the
default scope of a config is ``mmdet``.  mmengine gives whatever it reads from
a ``cbnet::`` base the scope ``cbnet``; a child of each of mmdet's registries
answers to that scope and passes every name on to its parent.
"""

import warnings

import mmdet.registry
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

# mmengine finds the configs of packages with pkg_resources.  Users cannot
# follow the advice of this warning; setup.py requires a setuptools that has
# it.
warnings.filterwarnings('ignore', 'pkg_resources is deprecated')

# mmengine accepts `name::` only for names in this table.  It looks a package
# up as a distribution, whose folder is wrong in editable installs, and
# anything else as a module, whose folder is right: hence a module here.
MODULE2PACKAGE['cbnet'] = 'cbnet.registry'

SCOPED = {
    name: Registry(
        parent.name, parent=parent, scope='cbnet', locations=['cbnet']
    )
    for name, parent in vars(mmdet.registry).items()
    if isinstance(parent, Registry)
}

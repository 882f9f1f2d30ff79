"""The scope ``cbnet``: configs inherited through ``cbnet::`` build here.

Everything of this package is registered in mmdet's registries, because a
config's default scope is ``mmdet``.  mmengine marks what comes from a
``cbnet::`` base with the scope ``cbnet``; a child of each mmdet registry
answers to that scope and passes every name on to its parent.
"""

import mmdet.registry
from mmengine.registry import Registry

SCOPED = {
    name: Registry(parent.name, parent=parent, scope='cbnet')
    for name, parent in vars(mmdet.registry).items()
    if isinstance(parent, Registry)
}

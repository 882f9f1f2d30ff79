# The only file that imports the plugin.
_base_ = 'mmdet::_base_/default_runtime.py'
custom_imports = dict(imports=['cbnet'], allow_failed_imports=False)

# The only file that imports the plugin.
custom_imports = dict(imports=['cbnet'], allow_failed_imports=False)

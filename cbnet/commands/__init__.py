"""The commands: ``cbnet train``, ``cbnet test``, ``cbnet infer``, ..."""

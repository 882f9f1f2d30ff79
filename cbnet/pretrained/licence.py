"""The licence and the source of timm's weights, where timm tells them."""

from typing import Any

from torch import nn

SCHEME = 'timm://'
# What timm's config has where nobody knows the licence.
_UNKNOWN = (None, '', 'unknown')


def licence_of(source: str, backbone: nn.Module | None = None) -> str:
    """Tell the licence and the source of a file, for the log.

    Args:
        source: the name of the file; ``timm://NAME``, or the address of the
            weights that timm's config of the backbone names.
        backbone: a backbone that may hold a timm model as ``model``.

    Returns:
        ``'licence apache-2.0, from timm/resnet50.a1_in1k'``; for a local file
        of a backbone whose name has a tag, what timm lists for that tag; or
        an empty text if timm does not know the licence of this file.
    """
    if source.startswith(SCHEME):
        import timm  # late: only some members need it, and it takes long

        cfg = timm.get_pretrained_cfg(source.removeprefix(SCHEME))
        config = cfg.to_dict() if cfg else {}
    else:
        model = getattr(backbone, 'model', None)
        config = getattr(model, 'pretrained_cfg', None) or {}
        name = getattr(backbone, 'model_name', '')
        if (
            source and '://' not in source and '.' in name
        ):  # it may be another file
            about = licence_of(f'{SCHEME}{name}')
            return about and f'timm lists for {name}: {about}'
        if not _names(config, source):
            return ''
    licence = config.get('license')
    origin = config.get('hf_hub_id') or config.get('url')
    if licence in _UNKNOWN or not origin:
        return ''
    return f'licence {licence}, from {origin}'


def _names(config: dict[str, Any], source: str) -> bool:
    """Tell whether a source is the address of a config's weights."""
    if '://' not in source:
        return False
    hub = config.get('hf_hub_id')
    return source == config.get('url') or bool(hub and f'/{hub}/' in source)

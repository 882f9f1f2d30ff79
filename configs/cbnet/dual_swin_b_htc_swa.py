# SWA of HTC, Dual-Swin-B: 58.2 box AP, 50.4 mask AP as published.
# 12 more epochs from the trained checkpoint that load_from names:
#   cbnet train configs/cbnet/dual_swin_b_htc_swa.py \
#       --cfg-options load_from=dual_swin_b_htc.pth
_base_ = ['./dual_swin_b_htc.py', '../_base_/schedules/swa_12e.py']
train_cfg = _base_.swa_train_cfg
param_scheduler = _base_.swa_param_scheduler
custom_hooks = _base_.swa_hooks
# The checkpoint has all weights; pretrained files are not needed.
model = dict(backbone=dict(member=dict(init_cfg=None)))

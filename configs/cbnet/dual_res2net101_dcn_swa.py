# SWA of Cascade R-CNN, Dual-Res2Net-101-DCN: 54.8 box AP as published.
# 12 more epochs from the trained checkpoint that load_from names:
#   cbnet train configs/cbnet/dual_res2net101_dcn_swa.py \
#       --cfg-options load_from=dual_res2net101_dcn.pth
_base_ = ['./dual_res2net101_dcn.py', '../_base_/schedules/swa_12e.py']
train_cfg = _base_.swa_train_cfg
param_scheduler = _base_.swa_param_scheduler
custom_hooks = _base_.swa_hooks
# The checkpoint has all weights; pretrained files are not needed.
model = dict(backbone=dict(member=dict(init_cfg=None)))

# As adamw_12e.py, but for 36 epochs.
_base_ = './adamw_12e.py'
max_epochs = 36
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs, milestones=[27, 33])

# Rates for the short training that follows an upgrade, as factors of the rate
# that the detector was trained with, if it no longer improves by itself:
#   _base_ = ['upgraded_my_config.py', 'cbnet::_base_/schedules/upgrade.py']
#   optim_wrapper = _base_.upgrade_optim_wrapper
upgrade_optim_wrapper = dict(
    constructor='MemberLayerDecayConstructor',
    paramwise_cfg=dict(
        # The connections start at zero and must learn everything. They keep
        # the whole rate, also where the config lowers that of its backbone.
        custom_keys={'backbone.connections': dict(lr_mult=1.0)},
        # What has converged goes on slowly, as after the last drop of a usual
        # schedule, and follows what the connections add.
        lead_lr_mult=0.1,
        others_lr_mult=0.1,
        # Matters with --train-assistant only: it was trained for other ends.
        assistants_lr_mult=0.1,
    ),
)

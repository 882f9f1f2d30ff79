"""Lines of a training log as mmengine writes them."""


def train(step, **values):
    return dict(
        lr=0.1, loss=10 / step, time=1.0, **values, iter=step, step=step
    )

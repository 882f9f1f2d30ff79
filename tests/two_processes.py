"""Run a function in two processes that can join a process group."""

import multiprocessing
import socket


def run_in_two(function, *args):
    """Call ``function(rank, port, *args)`` for the ranks 0 and 1.

    Args:
        function: what each process runs.
        args: its further arguments.

    Raises:
        AssertionError: a process fails, or has not ended in five minutes.
    """
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context('fork')
    processes = [
        context.Process(target=function, args=(rank, port, *args), daemon=True)
        for rank in range(2)
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join(300)
    assert [one.exitcode for one in processes] == [0, 0]

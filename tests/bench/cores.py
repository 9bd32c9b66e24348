"""Which core does what: what is measured has one of its own, where there are several."""

import os

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]  # what is measured
CLIENT_CORE = CORES[-1]  # everything else


def pin(process, core):
    """With the threads it has by now, and those that they will make."""
    for task in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(task), {core})

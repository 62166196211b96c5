"""The closed-form readout on a cluster of this machine: the same call, and a worker that is killed midway."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import torch
from distributed import Client, LocalCluster

from ssmemory.fit import readout


def slow_last_steps(u: torch.Tensor) -> torch.Tensor:
    time.sleep(0.05)  # so that there is a midway
    return u[:, -7:, 0]


def test_a_cluster_gives_the_same_and_so_does_one_that_loses_a_worker():
    u = torch.randn(600, 20, 1, generator=torch.Generator().manual_seed(0))
    y = u[:, -4:-1, 0].argmax(-1)
    options = {"batch_size": 10, "progress": False}
    alone = readout(lambda u: u[:, -7:, 0], u, y, **options)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        (first, *_) = cluster.workers.values()
        killed = first.pid
        with joblib.parallel_config("dask"):
            shared = readout(slow_last_steps, u, y, processes=2, **options)
            timer = threading.Timer(0.6, os.kill, (killed, signal.SIGKILL))
            timer.start()
            after = readout(slow_last_steps, u, y, processes=2, **options)
            timer.join()
        assert first.pid != killed  # it was replaced
    for found in (shared, after):
        assert found.n_samples == 600
        np.testing.assert_allclose(found.weights, alone.weights, rtol=1e-9, atol=1e-12)

"""The closed-form readout on a cluster of this machine: the same call, and a worker that is killed midway."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from ssmemory.fit import readout

SCRIPT = """
import json, os, signal, sys, threading, time

import joblib, torch
from distributed import Client, LocalCluster

from ssmemory.fit import readout


def slow_last_steps(u):
    time.sleep(0.05)  # so that there is a midway
    return u[:, -7:, 0]


if __name__ == "__main__":
    u = torch.randn(600, 20, 1, generator=torch.Generator().manual_seed(0))
    y, options = u[:, -4:-1, 0].argmax(-1), {"processes": 2, "batch_size": 10, "progress": False}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        first, *_ = cluster.workers.values()
        killed = first.pid
        with joblib.parallel_config("dask"):
            found = [readout(slow_last_steps, u, y, **options)]
            timer = threading.Timer(0.6, os.kill, (killed, signal.SIGKILL))
            timer.start()
            found.append(readout(slow_last_steps, u, y, **options))
            timer.join()
        replaced = first.pid != killed
    result = {"replaced": replaced, "weights": [f.weights.tolist() for f in found], "n": [f.n_samples for f in found]}
    print(json.dumps(result), flush=True)
    os._exit(0)  # not to wait for the cluster's last threads
"""


@pytest.fixture(scope="module")
def on_a_cluster(tmp_path_factory) -> dict:
    """What two runs found, the second of which lost a worker; in a process of its own, as a user has it."""
    path = tmp_path_factory.mktemp("cluster") / "run.py"
    path.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_cluster_gives_the_same_and_so_does_one_that_loses_a_worker(on_a_cluster):
    u = torch.randn(600, 20, 1, generator=torch.Generator().manual_seed(0))
    alone = readout(lambda u: u[:, -7:, 0], u, u[:, -4:-1, 0].argmax(-1), batch_size=10, progress=False)
    assert on_a_cluster["replaced"]  # the killed worker
    assert on_a_cluster["n"] == [600, 600]
    for weights in on_a_cluster["weights"]:
        np.testing.assert_allclose(weights, alone.weights, rtol=1e-9, atol=1e-12)

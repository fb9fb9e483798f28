"""Runs a command beside a Ray cluster of two nodes on this machine, one CPU each, which ends with it.

    python tests/clusters/ray_two_nodes.py mtlbench run ... hydra/launcher=ray hydra.launcher.ray.init.address=auto

As on a cluster that others started, its workers have neither the command's folder nor its variables MTLBENCH_*.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def main(command: list[str]) -> int:
    from ray.cluster_utils import Cluster  # pytest reads this file too, where Ray may not be installed

    folder, own = Path.cwd(), dict(os.environ)
    os.chdir("/")
    for name in own:
        if name.startswith("MTLBENCH_"):
            del os.environ[name]
    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False)
        found = own | {"RAY_ADDRESS": cluster.address}
        return subprocess.run(command, cwd=folder, env=found, check=False).returncode
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))

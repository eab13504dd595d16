"""The tiny sweep of the tests on a Slurm of one node, which is set up for it on this machine: ``make test-slurm``.

It needs root, Debian's packages ``slurm-wlm`` and ``munge``, and no other Slurm on this machine. Of what it begins, ``munged`` alone is
left running.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from sweeping import planned, snakemake, table, table_without_snakemake

CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory_mib} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""
CONFIGURATION_PATH = Path("/etc/slurm/slurm.conf")  # jobs find no other: Snakemake clears their SLURM_CONF
DAEMONS = ("slurmctld", "slurmd")


def main():
    missing = [name for name in (*DAEMONS, "munged", "sbatch") if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        sys.exit(f"not run: it needs root, and {', '.join(missing) or 'nothing else'} (Debian: apt-get install slurm-wlm munge)")
    if CONFIGURATION_PATH.exists():
        sys.exit(f"not run: {CONFIGURATION_PATH} is there, so that this machine has a Slurm of its own")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, ExitStack() as ends:
        start(Path(folder), ends)
        sweep(Path(folder))


def start(folder, ends):
    """Slurm's two daemons, until a node is idle; ``ends`` is told how to undo it."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
        subprocess.run(["service", "munge", "start"], check=True)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    ends.callback(CONFIGURATION_PATH.unlink)
    CONFIGURATION_PATH.write_text(
        CONFIGURATION.format(
            folder=folder,
            host=socket.gethostname(),
            cores=len(os.sched_getaffinity(0)),
            memory_mib=memory_mib * 9 // 10,
            controller_port=free_port(),
            node_port=free_port(),
        )
    )
    for name in DAEMONS:
        with (folder / f"{name}.log").open("wb") as log:
            daemon = subprocess.Popen([name, "-D"], stdout=log, stderr=log)
        ends.callback(daemon.wait)
        ends.callback(daemon.terminate)
    for _ in range(60):
        time.sleep(1)
        state = subprocess.run(["sinfo", "--noheader", "-o", "%T"], capture_output=True, text=True, check=False).stdout.strip()
        if state == "idle":
            return
    sys.exit("\n".join([f"no node came up: {state!r}", *((folder / f"{name}.log").read_text() for name in DAEMONS)]))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def sweep(folder):
    store, log = planned(folder), folder / "log"
    code = snakemake(folder, log, "--slurm-status-command", "squeue", profile="slurm").wait(600)
    said = log.read_text()
    assert code == 0, said
    submitted = said.count("has been submitted with SLURM jobid")
    assert submitted == 3, said  # the shared stage and two runs; the table is written here
    pd.testing.assert_frame_equal(table(store), table_without_snakemake(folder))
    print(f"{submitted} Slurm jobs; the table is that of the same runs without Snakemake")


if __name__ == "__main__":
    main()

"""A real SLURM of one node on this machine, for the tests: munge, a controller, a daemon.

Usage: python tests/slurm_cluster.py COMMAND...

runs a command that needs a cluster, as root, and stops the cluster when the command has ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 180.0
"""Seconds in which what is waited for comes about, also on a busy machine."""
MEMORY = 16000
"""MB of the node,"""
CPUS = 2
"""its processors, beside one GPU that there is not,"""
FEATURE = "fast"
"""and what it can be asked for by `constraint`."""

_CONF = """\
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
AuthInfo=socket={folder}/munge/socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmUser=root
SlurmdUser=root
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
SlurmctldParameters=idle_on_node_suspend
ReturnToService=2
KillWait=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
{kills}
{accounting}
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Feature={feature} Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


KILLS = "JobAcctGatherParams=OverMemoryKill"
"""The setting by which jobs are killed for their memory."""
ACCOUNT = "lab"
"""The one account of a cluster that has accounting."""

_ACCOUNTANTS = ("mariadbd", "slurmdbd")
"""The daemons that keep account of jobs."""

_NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge/socket
AccountingStorageEnforce=associations"""
_DBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdPort={dbd_port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounts
"""


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def obstacle() -> str:
    """Why no cluster can be started here; empty where one can."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not _program(name)]
    if missing:
        return f"there is no {missing[0]} here: apt-get install slurm-wlm"
    return "" if os.geteuid() == 0 else "only root can start the daemons of SLURM"


def accounting_obstacle() -> str:
    """Why a cluster cannot keep account of its jobs here."""
    missing = [name for name in _ACCOUNTANTS if not _program(name)]
    if missing:
        return f"there is no {missing[0]} here: apt-get install slurmdbd mariadb-server"
    return ""


MARKS = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "SLURM is here"),
]
"""Those of a test that needs a cluster."""


class Cluster:
    """The daemons of one cluster; `folder` is theirs.

    With `accounting`, it keeps account of jobs in a database of its own.
    """

    def __init__(self, folder: Path, *, accounting: bool = False) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._first_job = 1
        self._daemons = ("munged", *(_ACCOUNTANTS if accounting else ()), "slurmctld", "slurmd")
        for name in ("munge", "spool", "state"):
            (folder / name).mkdir(mode=0o755)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        dbd_port = _free_port()
        self.conf.write_text(
            _CONF.format(
                folder=folder,
                kills=KILLS,
                accounting=_ACCOUNTING.format(folder=folder, dbd_port=dbd_port)
                if accounting
                else _NO_ACCOUNTING,
                host=socket.gethostname().partition(".")[0],
                ctld_port=_free_port(),
                d_port=_free_port(),
                cpus=CPUS,
                memory=MEMORY,
                feature=FEATURE,
            )
        )
        (folder / "gres.conf").write_text("AutoDetect=off\nName=gpu File=/dev/null\n")
        if accounting:
            settings = folder / "slurmdbd.conf"
            settings.write_text(_DBD_CONF.format(folder=folder, dbd_port=dbd_port))
            settings.chmod(0o600)  # else slurmdbd does not read it
            self._make_database()

    def _make_database(self) -> None:
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data"),
                *("--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            capture_output=True,
        )

    @property
    def env(self) -> Mapping[str, str]:
        """With what SLURM's programs find this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self, *names: str) -> None:
        """Start these daemons, and wait until they answer."""
        munge = self.folder / "munge"
        argv: Mapping[str, Sequence[str]] = {
            "munged": [
                *("munged", "--foreground", "--force", f"--key-file={munge}/key"),
                *(f"--socket={munge}/socket", f"--pid-file={munge}/pid"),
                *(f"--log-file={munge}/log", f"--seed-file={munge}/seed"),
            ],
            "mariadbd": [
                *("mariadbd", "--no-defaults", "--user=root", f"--datadir={self.folder}/data"),
                *(f"--socket={self._database}", f"--pid-file={self.folder}/mariadbd.pid"),
                "--skip-networking",
            ],
            "slurmdbd": ["slurmdbd", "-D"],
            "slurmctld": ["slurmctld", "-D", "-f", str(self.conf)],
            "slurmd": ["slurmd", "-D", "-f", str(self.conf)],
        }
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                program = _program(name)
                assert program is not None
                self._running[name] = subprocess.Popen(
                    [program, *argv[name][1:]],
                    # Where it listens is known to the database's own client alone.
                    env={**self.env, "MYSQL_UNIX_PORT": str(self._database)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            if name == "munged":
                wait_until(lambda: (munge / "socket").exists())
            elif name == "mariadbd":
                wait_until(self._database.exists)
            elif name == "slurmdbd":
                wait_until(lambda: self.call("sacctmgr", "-n", "show", "cluster").returncode == 0)
                for what in (
                    "cluster trial",
                    f"account {ACCOUNT}",
                    f"user root account={ACCOUNT}",
                ):
                    self.call("sacctmgr", "--immediate", "add", *what.split())
        if "slurmctld" in self._running:
            wait_until(lambda: self.call("scontrol", "ping").returncode == 0)
        if "slurmd" in self._running:
            wait_until(lambda: self.said("sinfo", "-h", "-o", "%t") in ("idle", "mix", "alloc"))

    @property
    def _database(self) -> Path:
        """The socket of the database."""
        return self.folder / "mariadbd.socket"

    def stop(self, *names: str) -> None:
        """Stop these daemons, by default all."""
        for name in names or reversed(self._daemons):
            if process := self._running.pop(name, None):
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    @property
    def stopped(self) -> Sequence[str]:
        """The daemons that were stopped, and not started again."""
        return [name for name in self._daemons if name not in self._running]

    @contextmanager
    def without(self, setting: str) -> Iterator[None]:
        """Let the cluster do without a line of its settings meanwhile."""
        text = self.conf.read_text()
        assert f"{setting}\n" in text
        self._restart(text.replace(f"{setting}\n", ""))
        try:
            yield
        finally:
            self._restart(text)

    def _restart(self, conf: str) -> None:
        self.stop("slurmd", "slurmctld")
        self.conf.write_text(conf)
        self.start("slurmctld", "slurmd")

    def forget_jobs(self) -> None:
        """Let the controller know of no job any more, as of those that ended some time ago."""
        self.stop("slurmctld")
        for state in (self.folder / "state").glob("job_state*"):
            state.unlink()
        self._first_job += 1000  # the accounts still know the old numbers
        self.conf.write_text(f"{self.conf.read_text()}FirstJobId={self._first_job}\n")
        self.start("slurmctld")

    def call(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Call one of SLURM's programs."""
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False)

    def said(self, *argv: str) -> str:
        """What one of them prints."""
        return self.call(*argv).stdout.strip()

    def foreign_job(self) -> str:
        """Submit a job that is no business of any run's; returns its number."""
        quiet = ("--parsable", "--output=/dev/null", "--mem=100M")
        return self.said("sbatch", *quiet, "--wrap=sleep 600")

    @property
    def queue(self) -> list[str]:
        """The jobs that wait or run, as `squeue` prints them."""
        lines = self.said("squeue", "-h", "--array", "-o", "%i %T").splitlines()
        return [line for line in lines if line.split()[1] in ("PENDING", "RUNNING")]


@contextmanager
def running_cluster(folder: Path, *, accounting: bool = False) -> Iterator[Cluster]:
    """A cluster, for as long as it is needed."""
    cluster = Cluster(folder, accounting=accounting)
    try:
        cluster.start(*cluster.stopped)
        yield cluster
    finally:
        cluster.call("scancel", f"--user={os.geteuid()}")
        cluster.stop()


@pytest.fixture(scope="session", name="cluster")
def cluster_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests of a process."""
    with running_cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


def wait_until(holds: Callable[[], object], limit: float = PATIENCE) -> None:
    """Wait until something holds. Raises `TimeoutError` where it does not."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > limit:
            raise TimeoutError("what was waited for did not come about")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    if why_not := obstacle():
        sys.exit(why_not)
    with tempfile.TemporaryDirectory() as place, running_cluster(Path(place)) as one:
        sys.exit(subprocess.call(sys.argv[1:], env=one.env))

"""A real Dask scheduler and two workers over TCP give row for row what the pool gives, also when one of them is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.errors import ConfigError
from accelsim.sweeps import cluster as cluster_module
from accelsim.sweeps.cluster import DaskCluster, Security, connect, run_batch, start_local
from accelsim.sweeps.points import expand
from accelsim.sweeps.pool import ProcessPool
from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.store import open_store
from tests.processes import HANG_S
from tests.sweep.small_sweeps import TECHNOLOGY, modelled_rows, sweep

pytest.importorskip("distributed")

SCHEDULER = "distributed.cli.dask_scheduler"
WORKER = "distributed.cli.dask_worker"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that starts on a busy machine is awaited."""
    monkeypatch.setattr(cluster_module, "PATIENCE_SECONDS", HANG_S)


def spawn(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    with (folder / "dask.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", *words], cwd=Path(__file__).parents[2], stdout=log, stderr=log)


@contextmanager
def started(folder: Path, count: int, *tls: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and its workers on loopback: its address, and them."""
    file = folder / "scheduler.json"
    everyone = [spawn(folder, SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file), *tls)]
    try:
        address = address_in(file, folder / "dask.log")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(folder), *tls)
        workers = [spawn(folder, WORKER, address, *options) for _ in range(count)]
        everyone += workers
        yield address, workers
    finally:
        for process in everyone:
            process.kill()
            process.wait()


def address_in(file: Path, log: Path) -> str:
    """The address that a scheduler writes when it is ready."""
    deadline = time.monotonic() + HANG_S
    while True:
        with suppress(FileNotFoundError, json.JSONDecodeError):  # not there yet, or not yet written in full
            return str(json.loads(file.read_text())["address"])
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler's address, and its two workers."""
    with started(tmp_path_factory.mktemp("dask"), 2) as found:
        yield found


@pytest.fixture(scope="module")
def pool_rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "s.sqlite"
    with open_store(path) as store:
        run_sweep(sweep(), store, ProcessPool(2, TECHNOLOGY), TECHNOLOGY)
    return modelled_rows(path)


def test_a_cluster_gives_row_for_row_what_the_pool_gives(cluster, pool_rows, tmp_path):
    address, _ = cluster
    assert address.startswith("tcp://127.0.0.1:")
    with open_store(tmp_path / "s.sqlite") as store:
        summary = run_sweep(sweep(), store, connect(address, TECHNOLOGY), TECHNOLOGY)
        assert (summary.ok, summary.failed) == (20, 0)
        assert run_sweep(sweep(), store, connect(address, TECHNOLOGY), TECHNOLOGY).reused == 20
    assert modelled_rows(tmp_path / "s.sqlite") == pool_rows


class _Killing(DaskCluster):
    """A cluster of which one worker is killed after the first row."""

    def run(self, points):
        for number, row in enumerate(super().run(points)):
            yield row
            if not number:
                VICTIMS.pop().send_signal(signal.SIGKILL)


VICTIMS: list[subprocess.Popen[bytes]] = []


def test_a_worker_of_the_cluster_that_is_killed_costs_no_point(cluster, pool_rows, tmp_path):
    address, workers = cluster
    VICTIMS.append(workers[0])
    whole = connect(address, TECHNOLOGY)
    with open_store(tmp_path / "s.sqlite") as store:
        summary = run_sweep(sweep(), store, _Killing(TECHNOLOGY, whole.open_client), TECHNOLOGY)
    assert (summary.ok, summary.failed, workers[0].wait(timeout=HANG_S)) == (20, 0, -signal.SIGKILL)
    assert modelled_rows(tmp_path / "s.sqlite") == pool_rows


def test_a_worker_with_another_accelsim_is_refused():
    with pytest.raises(ConfigError, match=r"the worker on .* runs another accelsim, 0"):
        run_batch(list(expand(sweep()))[:1], TECHNOLOGY, "0" * 64)


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "http://x:1", "tcp://", "ucx://x:1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="allowed: tcp://HOST:PORT"):
        connect(address, TECHNOLOGY)


def test_tls_needs_its_files_and_its_address(tmp_path):
    files = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    with pytest.raises(ConfigError, match=r"ca.pem: no such file"):
        connect("tls://x:1", TECHNOLOGY, Security(*files))
    with pytest.raises(ConfigError, match="TLS needs"):
        connect("tcp://x:1", TECHNOLOGY, Security(*files))
    with pytest.raises(ConfigError, match="TLS needs"):
        connect("tls://x:1", TECHNOLOGY)


TLS = Path(__file__).parent / "tls"
CERTIFIED = Security(TLS / "ca.pem", TLS / "cert.pem", TLS / "key.pem")


def test_a_cluster_behind_tls_gives_what_the_pool_gives_and_takes_nobody_else(pool_rows, tmp_path, monkeypatch, capsys):
    options = ("--tls-ca-file", str(CERTIFIED.ca_file), "--tls-cert", str(CERTIFIED.cert), "--tls-key", str(CERTIFIED.key))
    with started(tmp_path, 1, "--protocol", "tls", *options) as (address, _):
        assert address.startswith("tls://127.0.0.1:")
        with open_store(tmp_path / "s.sqlite") as store:
            assert run_sweep(sweep(), store, connect(address, TECHNOLOGY, CERTIFIED), TECHNOLOGY).ok == 20
        assert modelled_rows(tmp_path / "s.sqlite") == pool_rows
        monkeypatch.setattr(cluster_module, "PATIENCE_SECONDS", 2)
        strangers = {
            address: replace(CERTIFIED, ca_file=TLS / "other_ca.pem"),  # a client that trusts another authority
            address.replace("tls:", "tcp:"): None,  # one without TLS
        }
        for where, security in strangers.items():
            with pytest.raises(ConfigError, match=f"no scheduler answers at {where}"):
                list(connect(where, TECHNOLOGY, security).run(iter([next(expand(sweep()))])))
    capsys.readouterr()


def test_a_local_cluster_says_its_address_and_takes_nobody_without_its_key(pool_rows, tmp_path, monkeypatch, capsys):
    strangers: list[str] = []

    def intrude(address: str) -> None:
        assert address.startswith("tls://127.0.0.1:")
        for where, security in ((address, CERTIFIED), (address.replace("tls:", "tcp:"), None)):
            with monkeypatch.context() as here:
                here.setattr(cluster_module, "PATIENCE_SECONDS", 2)
                with pytest.raises(ConfigError, match=f"no scheduler answers at {where}"):
                    list(connect(where, TECHNOLOGY, security).run(iter([next(expand(sweep()))])))
            strangers.append(where)

    with open_store(tmp_path / "s.sqlite") as store:
        assert run_sweep(sweep(), store, start_local(1, TECHNOLOGY, intrude), TECHNOLOGY).ok == 20
    assert modelled_rows(tmp_path / "s.sqlite") == pool_rows
    assert len(strangers) == 2
    capsys.readouterr()

"""Points on a Dask cluster: one that is there, or one made on this machine; the same rows as the pool of processes gives.

Dask sends pickles: anyone who can connect to its scheduler can run code on its workers, and on this client. A cluster made here listens
on loopback and accepts only clients with a key that was made for it; one elsewhere belongs behind TLS. Traces and configurations are
named, not sent: workers need the same accelsim (each batch checks its sources) and the same files at the same paths (each trace's hash
is checked).
"""

from __future__ import annotations

import importlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.interrupts import sigint_held
from accelsim.provenance import model_hash
from accelsim.sweeps.blocks import Blocks
from accelsim.sweeps.points import Point
from accelsim.sweeps.worker import check_model, failed_row, run_point

BATCH = 8  # points in a task: neighbours share most, and a task costs the scheduler about a millisecond
AHEAD = 2  # tasks in the hands of each thread of a worker, beside the running one
PATIENCE_SECONDS = 30  # for the scheduler, and for a worker where there is none
LOOK_SECONDS = 5  # after which who waits for a task looks at the workers that are there
LEAN = {"distributed.worker.profile.enabled": False}  # Dask's settings here: nobody looks at a profile, and to take it costs a worker time

_CONTINUES = "finished points are stored, and the same command continues"
_GONE = f"the scheduler of the cluster went away; {_CONTINUES}"

Rows = list[dict[str, Any]]
Slot = tuple[str, int]  # a worker's address, and which of its threads


@dataclass(frozen=True)
class Security:
    """TLS of a cluster: the authority's certificate, this client's certificate and its key."""

    ca_file: Path
    cert: Path
    key: Path


def run_batch(points: list[Point], technology: Technology, model: str) -> Rows:
    """A task: the rows of some points; ConfigError if the worker runs another model."""
    check_model(model)
    return [run_point(point, technology) for point in points]


class DaskCluster:
    """Runs points through a client of Dask; `open_client` makes it, and what has to be closed after it, when the first point comes."""

    def __init__(self, technology: Technology, open_client: Callable[[], tuple[Any, ...]]) -> None:
        self._technology = technology
        self.open_client = open_client
        self._opened: tuple[Any, ...] = ()

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        """A row for each point, as they are done.

        Raises
        ------
        ConfigError
            No scheduler, no worker, one that goes away for long, or a worker with another accelsim.
        """
        first = list(islice(points, 1))
        if not first:
            return
        with ExitStack() as unless_done:
            unless_done.callback(self.close)  # drop the tasks in flight
            self._opened = self._opened or self.open_client()
            yield from self._run(Blocks(chain(first, points)))
            unless_done.pop_all()

    def close(self) -> None:
        """Leave the cluster, and end it if it was made here; another `run` opens it again."""
        opened, self._opened = self._opened, ()
        for item in opened:
            item.close()

    def _run(self, source: Blocks) -> Iterator[dict[str, Any]]:
        client = self._opened[0]
        tasks: dict[Any, tuple[Slot, list[Point]]] = {}
        in_hand: Counter[Slot] = Counter()
        done: SimpleQueue[Any] = SimpleQueue()

        def submit(slot: Slot, batch: list[Point]) -> None:
            """A task that had best run where its neighbours did; elsewhere if that worker is gone or busy."""
            where = {"workers": [slot[0]], "allow_other_workers": True}
            future = client.submit(run_batch, batch, self._technology, model_hash(), pure=False, **where)
            tasks[future] = slot, batch
            in_hand[slot] += 1
            future.add_done_callback(done.put)

        seen = time.monotonic()
        while True:
            slots = _slots(client)
            if slots:
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE_SECONDS:
                raise ConfigError(f"the cluster has no worker left; {_CONTINUES}")
            for slot in slots:
                while in_hand[slot] <= AHEAD and (batch := source.take_some(slot, BATCH)):
                    submit(slot, batch)
            if slots and not tasks:
                return
            try:
                future = done.get(timeout=LOOK_SECONDS)
            except Empty:  # Dask forgets a task whose worker was the last one, even if others join
                for future in [future for future, (slot, _) in tasks.items() if slots and slot not in slots]:
                    slot, batch = tasks.pop(future)
                    in_hand[slot] -= 1
                    source.give_back(slot, batch)
                    future.cancel()
                continue
            if future not in tasks:
                continue
            slot, batch = tasks.pop(future)
            in_hand[slot] -= 1
            rows, again = self._outcome(future, batch)
            for point in again:
                submit(slot, [point])
            yield from rows

    def _outcome(self, future: Any, batch: list[Point]) -> tuple[Rows, list[Point]]:
        """Rows of a finished task, and the points to run again one by one if its workers died: one of them is to blame."""
        try:
            return future.result(), []
        except _distributed().KilledWorker:
            if len(batch) > 1:
                return [], batch
            return [failed_row(batch[0], self._technology, "the workers that ran it died, one after the other")], []
        except CancelledError as error:
            raise ConfigError(_GONE) from error
        except ImportError as error:
            raise ConfigError(f"a worker of the cluster cannot import the sweep's code: {error}") from error


def _slots(client: Any) -> list[Slot]:
    """The threads of the workers that are there now: they come and go."""
    try:
        return [(address, number) for address, threads in client.nthreads().items() for number in range(threads)]
    except (OSError, TimeoutError) as error:
        raise ConfigError(_GONE) from error


def connect(address: str, technology: Technology, security: Security | None = None) -> DaskCluster:
    """A cluster that is there, at its scheduler's address.

    Raises
    ------
    ConfigError
        The [cluster] extra is not installed, or the address is none. That nobody answers shows when the first point is to run.
    """
    _distributed()
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in ("tcp", "tls") or not rest:
        raise ConfigError(f"--scheduler {address!r}: allowed: tcp://HOST:PORT or tls://HOST:PORT")
    if (scheme == "tls") != (security is not None):
        raise ConfigError(f"--scheduler {address!r}: TLS needs tls:// and --tls-ca-file, --tls-cert and --tls-key")
    for file in (security.ca_file, security.cert, security.key) if security is not None else ():
        if not file.is_file():
            raise ConfigError(f"{file}: no such file")

    def open_client() -> tuple[Any, ...]:
        return (_client(address, security=_dask_security(security)),)

    return DaskCluster(technology, open_client)


def start_local(workers: int, technology: Technology, announce: Callable[[str], None] = lambda address: None) -> DaskCluster:
    """A cluster of this machine: a scheduler and `workers` processes on loopback, ended after the sweep.

    Its TLS key is made for it and stays in the memory of its processes, so other users of the machine cannot join. `announce` is told the
    scheduler's address.

    Raises
    ------
    ConfigError
        The [cluster] extra is not installed.
    """
    _distributed()
    if find_spec("cryptography") is None:
        raise ConfigError("a local cluster needs the cryptography package for its keys: pip install 'accelsim[cluster]'")

    def open_client() -> tuple[Any, ...]:
        distributed = _distributed()
        with sigint_held(), importlib.import_module("dask").config.set(LEAN):
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=distributed.Security.temporary(),
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.ERROR,
                preload=["accelsim.sweeps.warm"],
            )
        announce(cluster.scheduler_address)
        return _client(cluster), cluster

    return DaskCluster(technology, open_client)


def _distributed() -> Any:
    """The module, which states no types; ConfigError where it is not installed."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ConfigError("a cluster needs the [cluster] extra: pip install 'accelsim[cluster]'") from error


def _dask_security(security: Security | None) -> Any:
    if security is None:
        return None
    return _distributed().Security(
        tls_ca_file=str(security.ca_file), tls_client_cert=str(security.cert), tls_client_key=str(security.key), require_encryption=True
    )


def _client(where: Any, **options: Any) -> Any:
    """A client with at least one worker behind its scheduler."""
    try:
        client = _distributed().Client(where, timeout=PATIENCE_SECONDS, set_as_default=False, **options)
    except (OSError, TimeoutError) as error:
        raise ConfigError(f"no scheduler answers at {where}: {error}") from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
    except TimeoutError as error:
        client.close()
        raise ConfigError(f"the scheduler at {where} has no worker") from error
    return client

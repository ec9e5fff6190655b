"""Points on a Dask cluster: one that is there, or one made on this machine; the same rows as the pool of processes gives.

Dask talks pickle: whoever reaches its scheduler runs code on its workers, and on this client. A cluster made here listens on loopback
only; one elsewhere belongs behind TLS. Traces and configurations are named, not sent: workers need the same accelsim (each batch
checks its sources) and the same files at the same paths (each trace's hash is checked).
"""

from __future__ import annotations

import importlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from accelsim.errors import ConfigError
from accelsim.provenance import model_hash
from accelsim.report.technology import Technology
from accelsim.sweep.blocks import Blocks
from accelsim.sweep.points import Point
from accelsim.sweep.worker import check_model, failed_row, run_point

BATCH = 16  # points in a task: neighbours share most, and a task costs the scheduler about a millisecond
AHEAD = 2  # tasks in the hands of each thread of a worker, beside the running one
PATIENCE_SECONDS = 30  # for the scheduler, and for its first worker

Rows = list[dict[str, Any]]


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


@dataclass(frozen=True)
class DaskCluster:
    """Runs points through a client of Dask; `open_client` makes it, and what has to be closed after it."""

    technology: Technology
    open_client: Callable[[], tuple[Any, list[Any]]]

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        """A row for each point, as they are done.

        Raises
        ------
        ConfigError
            No scheduler, no worker, or a worker with another accelsim.
        """
        first = list(islice(points, BATCH))
        if not first:
            return
        client, opened = self.open_client()
        try:
            yield from self._run(client, first, points)
        finally:
            for item in (client, *opened):
                item.close()

    def _run(self, client: Any, first: list[Point], points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        distributed = _distributed()
        slots = [address for address, threads in client.nthreads().items() for _ in range(threads)]
        source = Blocks(chain(first, points), len(slots))
        tasks: dict[Any, tuple[int, list[Point]]] = {}
        in_hand: Counter[int] = Counter()

        def submit(slot: int, batch: list[Point]) -> Any:
            """A task that had best run where its neighbours did; elsewhere if that worker is gone or busy."""
            where = {"workers": [slots[slot]], "allow_other_workers": True}
            future = client.submit(run_batch, batch, self.technology, model_hash(), pure=False, **where)
            tasks[future] = slot, batch
            in_hand[slot] += 1
            return future

        completed = distributed.as_completed(loop=client.loop)
        while True:
            for slot in range(len(slots)):
                while in_hand[slot] <= AHEAD and (batch := source.take_some(slot, BATCH)):
                    completed.add(submit(slot, batch))
            if not tasks:
                return
            future = next(completed)
            slot, batch = tasks.pop(future)
            in_hand[slot] -= 1
            try:
                yield from future.result()
            except distributed.KilledWorker as error:
                if len(batch) == 1:
                    yield failed_row(batch[0], self.technology, f"the workers that ran it died: {error}")
                for point in batch if len(batch) > 1 else ():
                    completed.add(submit(slot, [point]))  # one of them is to blame
            except ImportError as error:
                raise ConfigError(f"a worker of the cluster cannot import the sweep's code: {error}") from error


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

    def open_client() -> tuple[Any, list[Any]]:
        return _client(address, security=_dask_security(security)), []

    return DaskCluster(technology, open_client)


def start_local(workers: int, technology: Technology) -> DaskCluster:
    """A cluster of this machine: a scheduler and `workers` processes on loopback, ended after the sweep."""
    _distributed()

    def open_client() -> tuple[Any, list[Any]]:
        cluster = _distributed().LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        )
        return _client(cluster), [cluster]

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

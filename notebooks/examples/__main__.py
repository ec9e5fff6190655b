"""The examples as commands, which answer Ctrl-C and SIGTERM as `accelsim` does: `python -m notebooks.examples finetune_demo [FOLDER]`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from accelsim.__main__ import answering_signals
from accelsim.errors import AccelsimError

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def run() -> None:
    """Run the example that the first argument names; status 2 and one line for what is wrong with its input."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        if name not in NAMES:
            raise AccelsimError(f"there is no example {name!r}; known: {', '.join(NAMES)}")
        del sys.argv[1]
        runpy.run_module(f"notebooks.examples.{name}", run_name="__main__", alter_sys=True)
    except AccelsimError as error:
        sys.stderr.write(f"accelsim: {error}\n")
        sys.exit(2)


answering_signals(run)

"""Draw the baselines of the pictures anew: `python -m tests.report.update_baselines "reason"`. Look at each that changed."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

from tests.report.pictures import pictures

FOLDER = Path(__file__).parent / "baseline"
RECORD = FOLDER / "record.json"


def main(reason: str) -> str:
    """Write the files; the names of those that changed, one a line."""
    FOLDER.mkdir(exist_ok=True)
    drawn = pictures()
    changed = []
    for path in FOLDER.glob("*.png"):
        if path.stem not in drawn:
            path.unlink()
            changed.append(f"{path.stem}: gone")
    for name, content in drawn.items():
        path = FOLDER / f"{name}.png"
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            changed.append(name)
    record = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "reason": reason}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return "\n".join(changed)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('usage: python -m tests.report.update_baselines "reason"')
    sys.stdout.write(main(sys.argv[1]) + "\n")

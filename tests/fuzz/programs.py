"""Small programs of torch.export, whose sizes are numbers or texts of arithmetic: `python -m tests.fuzz.programs NUMBERS.pt2 TEXTS.pt2`."""

from __future__ import annotations

import sys
import zipfile

import torch

_NUMBER = b'{"as_int": 8}'
_TEXT = b'{"as_expr": {"expr_str": "8", "hint": {"as_int": 8}}}'


class _Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = torch.nn.functional.relu(self.conv(x), inplace=True).mean((2, 3))
        return torch.softmax(self.head(pooled), -1)


def main() -> None:
    """Write both programs."""
    torch.manual_seed(0)
    numbers, texts = sys.argv[1:]
    torch.export.save(torch.export.export(_Network().eval(), (torch.zeros(1, 3, 8, 8),)), numbers)
    with zipfile.ZipFile(numbers) as source, zipfile.ZipFile(texts, "w") as out:
        for name in source.namelist():
            content = source.read(name)
            out.writestr(name, content.replace(_NUMBER, _TEXT) if "/models/" in name else content)


if __name__ == "__main__":
    main()

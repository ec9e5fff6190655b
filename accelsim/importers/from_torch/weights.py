"""Weights of a '.safetensors' file in the place of an exported program's own."""

from __future__ import annotations

from pathlib import Path

import torch

from accelsim.importers.weights_file import match, open_weights


def put_weights(program: torch.export.ExportedProgram, path: Path, model: str) -> None:
    """Replace the parameters and buffers of a program, by the names of its state dictionary.

    Raises
    ------
    ImportModelError
        The file is not whole, or its names and shapes are not the program's.
    """
    file = open_weights(path)
    state = program.state_dict
    found = match(file, {name: tuple(tensor.shape) for name, tensor in state.items()}, f"model {model!r}")
    for name, spelling in found.items():
        state[name] = torch.nn.Parameter(torch.from_numpy(file.read(spelling).copy()), requires_grad=False)

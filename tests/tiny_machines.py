"""Networks and machines of a few cycles, built in memory: what the tests of the machine run.

A net is a chain of layers that grows by one call a layer; a machine is a mapping of a few fields over a small default. The
hypothesis strategies at the end draw both, over every choice that changes how the units of a machine meet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace

SOURCE = {"kind": "seeded", "seed": 1, "distribution": "none: no weights are drawn", "statement": "shapes only"}


def weight_format(text: str) -> dict[str, Any]:
    """'int8', 'ssvq:K,D', 'ssvq:K,D,AXIS' or 'masked:K,D,KEEP,OF' as a manifest writes it."""
    if text == "int8":
        return {"kind": "uniform", "bits": 8}
    if text.startswith("masked:"):
        names = ("k", "d", "keep", "of")
        return {"kind": "masked_vq", **dict(zip(names, map(int, text.removeprefix("masked:").split(",")), strict=True))}
    k, d, *axis = (int(part) for part in text.removeprefix("ssvq:").split(","))
    return {"kind": "ssvq", "k": k, "d": d, "axis": axis[0] if axis else 0}


class Net:
    """Layers in order; each method appends one and returns its name."""

    def __init__(self, rows: int, width: int) -> None:
        self.inputs = [{"name": "x", "shape": {"rows": rows, "width": width}}]
        self.layers: list[dict[str, Any]] = []
        self.shape = {"x": (1, rows, width)}

    def _add(self, op: str, inputs: list[str], shape: tuple[int, int, int], **fields: Any) -> str:
        name = f"{op}{len(self.layers)}"
        groups, rows, width = shape
        self.layers.append({"op": op, "name": name, "inputs": inputs, "output": {"groups": groups, "rows": rows, "width": width}, **fields})
        self.shape[name] = shape
        return name

    def gemm(self, source: str, n: int, form: str = "int8") -> str:
        _, m, k = self.shape[source]
        weight = {"format": weight_format(form), "k": k, "n": n}
        return self._add("gemm", [source], (1, m, n), bounds={"K": n, "C": k, "OX": m}, weight=weight)

    def scores(self, q: str, k: str, heads: int) -> str:
        _, m, width = self.shape[q]
        n = self.shape[k][1]
        bounds = {"K": n, "C": width // heads, "OX": m, "G": heads}
        splits = {"a": {"split": "columns"}, "b": {"split": "columns"}, "merge": "groups", "transposed_b": True}
        return self._add("matmul", [q, k], (heads, m, n), bounds=bounds, **splits)

    def context(self, p: str, v: str) -> str:
        heads, m, k = self.shape[p]
        n = self.shape[v][2] // heads
        bounds = {"K": n, "C": k, "OX": m, "G": heads}
        splits = {"a": {"split": "groups"}, "b": {"split": "columns"}, "merge": "columns"}
        return self._add("matmul", [p, v], (1, m, heads * n), bounds=bounds, **splits)

    def same(self, op: str, *inputs: str) -> str:
        """A layer that keeps its inputs' shape: softmax, layernorm, gelu, add."""
        return self._add(op, list(inputs), self.shape[inputs[0]])

    def trace(self, name: str = "tiny") -> Trace:
        """The network up to its last layer, whose output leaves the chip."""
        fields = {"name": name, "source": SOURCE, "inputs": self.inputs, "outputs": [self.layers[-1]["name"]], "layers": self.layers}
        return Trace(Manifest.model_validate_json(json.dumps(fields)))


def gemm_chain(m: int, widths: list[int], forms: list[str], between: list[str]) -> Trace:
    """x[m, widths[0]] through gemms of widths[1:], each in its format and followed by `between` ('', gelu, layernorm, add)."""
    net = Net(m, widths[0])
    at = "x"
    for n, form, after in zip(widths[1:], forms, between, strict=True):
        before, at = at, net.gemm(at, n, form)
        if after == "add":
            at = net.same("add", at, before) if net.shape[before] == net.shape[at] else at
        elif after:
            at = net.same(after, at)
    return net.trace()


def tiny_encoder(tokens: int, width: int, heads: int, mlp: int, form: str, depth: int = 1) -> Trace:
    """Encoder blocks: layernorm, q, k, v, heads of attention, projection, residual, layernorm, two gemms with GELU, residual."""
    net = Net(tokens, width)
    at = "x"
    for _ in range(depth):
        normed = net.same("layernorm", at)
        q, k, v = (net.gemm(normed, width, form) for _ in range(3))
        context = net.context(net.same("softmax", net.scores(q, k, heads)), v)
        at = net.same("add", net.gemm(context, width, form), at)
        hidden = net.same("gelu", net.gemm(net.same("layernorm", at), mlp, form))
        at = net.same("add", net.gemm(hidden, width, form), at)
    return net.trace()


def tiny_accelerator(**fields: Any) -> Accelerator:
    """A 4x4 machine at 1 GHz with an ideal memory of 4 GB/s; `fields` ('array.rows', ...) with '.' written as '__' replace defaults."""
    base: dict[str, Any] = {
        "name": "tiny",
        "clock": "1 GHz",
        "array": {"rows": 4, "cols": 4, "max_m": 8},
        "codebook": {"ports": 1, "codeword_length": 2, "codewords": 64},
        "weight_buffer": {"capacity": 1024, "word_bits": 32},
        "activation_buffer": {"capacity": "16 KiB", "banks": 2, "width_bits": 32, "loader_bits": 32},
        "vector_unit": {"lanes": 4, "latency": 3},
        "dma": {"transfer": 64, "max_transfers": 2, "fabric_latency": "10 ns"},
        "control": {},
        "dram": {"device": "ideal", "latency": "20 ns", "bandwidth": "4 GB/s"},
        "placement": {},
    }
    for path, value in fields.items():
        section, _, name = path.partition("__")
        if name:
            base[section] = {**(base[section] or {}), name: value}
        else:
            base[section] = value
    return load_accelerator(base)


REAL_DRAM: Mapping[str, Any] = {"device": "lpddr4-3200-x16"}

forms = st.sampled_from(["int8", "ssvq:16,2", "ssvq:5,2,1", "ssvq:16,4", "ssvq:3,4,1"])


@st.composite
def chains(draw: st.DrawFn) -> Trace:
    """Gemm chains of one to three layers, with row functions between them."""
    count = draw(st.integers(1, 3))
    widths = [4 * draw(st.integers(1, 5)) for _ in range(count + 1)]
    after = [draw(st.sampled_from(["", "gelu", "layernorm", "add"])) for _ in range(count)]
    return gemm_chain(draw(st.integers(1, 20)), widths, [draw(forms) for _ in range(count)], after)


@st.composite
def encoders(draw: st.DrawFn) -> Trace:
    """One encoder block with one or two heads."""
    heads = draw(st.integers(1, 2))
    width = 4 * heads * draw(st.integers(1, 3))
    return tiny_encoder(draw(st.integers(2, 14)), width, heads, 4 * draw(st.integers(1, 6)), draw(forms))


nets = st.one_of(chains(), encoders())


@st.composite
def accelerators(draw: st.DrawFn, dram: bool = True) -> Accelerator:
    """Small machines over every choice of control, buffers, ports, banks, vector unit and memory."""
    rows, cols, lanes = draw(st.sampled_from([4, 8])), draw(st.sampled_from([4, 8])), draw(st.sampled_from([0, 1, 4, 16]))
    memories: list[Mapping[str, Any]] = [
        {"device": "ideal"},
        {"device": "ideal", "latency": "35 ns", "bandwidth": "1 GB/s"},
        {"device": "ideal", "latency": "5 ns", "bandwidth": "10 GB/s"},
    ]
    if dram:
        memories += [REAL_DRAM, {**REAL_DRAM, "channels": 2, "background": {"bandwidth": "200 MB/s", "transfer": 96}}]
    overlap = draw(st.sampled_from(["prefetch", "layer", "none"]))
    return tiny_accelerator(
        clock=draw(st.sampled_from(["1 GHz", "300 MHz", "777 MHz"])),
        array={
            "rows": rows,
            "cols": cols,
            "max_m": draw(st.sampled_from([3, 8, 32])),
            "accumulator_banks": draw(st.sampled_from([1, 2])),
            "accumulator_rule": draw(st.sampled_from(["predicted", "simple"])),
            "accumulator_read": draw(st.sampled_from(["second_port", "stall", "deskew"] if lanes in (0, 16) else ["second_port", "stall"])),
            "shadow_sets": draw(st.sampled_from([1, 2])),
        },
        codebook={
            "ports": draw(st.sampled_from([1, 2, 3, 8])),
            "codeword_length": 4,
            "codewords": 64,
            "sets": draw(st.sampled_from([1, 2])),
            "latency": draw(st.sampled_from([1, 2])),
            "banks": draw(st.sampled_from([None, None, 2])),
            "store": draw(st.sampled_from(["ram", "rom"])),
        },
        weight_buffer={"capacity": draw(st.sampled_from([768, 1024, 4096])), "word_bits": draw(st.sampled_from([8, 24, 64]))},
        activation_buffer={
            "capacity": draw(st.sampled_from([2048, 4096, 16384])),
            "banks": draw(st.sampled_from([1, 2, 4])),
            "width_bits": draw(st.sampled_from([16, 32])),
            "loader_bits": draw(st.sampled_from([8, 16])),
        },
        vector_unit={
            "lanes": lanes,
            "latency": draw(st.sampled_from([0, 1, 5])),
            "activation_scales": draw(st.sampled_from(["tensor", "tensor", "token"])),
        },
        dma={
            "transfer": draw(st.sampled_from([32, 64, 256])),
            "max_transfers": draw(st.sampled_from([1, 2, 4])),
            "max_outstanding_bursts": draw(st.sampled_from([1, 4, 64])),
            "fabric_latency": draw(st.sampled_from(["0 ns", "13 ns", "100 ns"])),
        },
        control={
            "overlap": overlap,
            "prefetch": draw(st.sampled_from([{}, {}, {"layers": 0}, {"layers": 1}, {"bytes": 0}, {"bytes": 100}]))
            if overlap == "prefetch"
            else {},
            "runs": draw(st.sampled_from(["chained", "isolated"])),
            "issue_overhead_cycles": draw(st.sampled_from([0, 7])),
            "overhead": draw(st.sampled_from([{}, {}, {"layer": "1 ns"}, {"network": "90 ns"}, {"network": "4 ns", "layer": "20 ns"}])),
        },
        dram=draw(st.sampled_from(memories)),
    )

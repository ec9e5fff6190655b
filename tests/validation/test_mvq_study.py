"""MVQ's speed-ups: ResNet-18's published figure from stated parameters, and what each chip's cycles must obey."""

from __future__ import annotations

import json
from functools import cache

import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import in_format
from accelsim.compression.recipe import make_recipe
from accelsim.errors import AccelsimError
from accelsim.presets import built_in
from accelsim.studies.mvq import ENHANCED, INT8, PLAIN, MvqSpeedups, counted_layers, mvq_chip, mvq_speedups
from accelsim.studies.networks.catalog import network

PUBLISHED = 2.2  # MVQ (arXiv 2412.10261), ResNet-18 at 64x64: compressed on its array over 8 bits on a weight-stationary one


@cache
def resnet18() -> MvqSpeedups:
    (found,) = mvq_speedups(["resnet18"])
    return found


def test_resnet_18_comes_out_within_ten_percent_of_the_paper() -> None:
    assert resnet18().over_ws == pytest.approx(PUBLISHED, rel=0.1)


def test_no_run_is_faster_than_its_weights_cross_the_port() -> None:
    """8 bytes per cycle."""
    trace = network("resnet18")
    weights = sum(layer.weight.k * layer.weight.n for layer in trace.weighted_layers() if layer.name in counted_layers(trace))
    assert min(resnet18().plain_int8, resnet18().enhanced_int8) >= weights / 8
    assert resnet18().enhanced_compressed < resnet18().enhanced_int8


def test_layers_that_use_a_weight_once_or_for_one_channel_are_not_counted() -> None:
    assert not {"fc6", "fc7", "classifier"} & counted_layers(network("alexnet"))
    assert len(counted_layers(network("alexnet"))) == 5
    mobile = counted_layers(network("mobilenet_v1"))
    assert mobile == {"conv", *(f"block{number}.pointwise" for number in range(1, 14))}


def test_fully_connected_layers_alone_exceed_the_range_that_the_paper_states() -> None:
    """AlexNet's cross the 8 bytes of the port at 8 bits, and at 1.25 bits; 1.8 is the most that the paper states over its own array."""
    last = [layer for layer in network("alexnet").weighted_layers() if layer.m == 1]
    weights = sum(layer.weight.k * layer.weight.n for layer in last)
    assert weights == 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    convolutions = 500_000  # cycles, more than any chip's here
    assert (weights / 8) / (weights * 1.25 / 8 / 8 + convolutions) > 1.8


def test_a_fold_makes_no_convolution_read_its_weights_more_often() -> None:
    """The chips differ in their folds alone, and each layer has more rows than the swap wave is long, or as many as the sums hold."""
    assert resnet18().enhanced_int8 == pytest.approx(resnet18().plain_int8, rel=0.01)


def test_a_sum_leaves_with_the_operand_of_its_slot_where_that_spares_reads_of_weights() -> None:
    """ResNet-50's last shortcut reads 14 x 14 x 1024 bytes, which exceed 192 KiB, so its 1024 x 2048 weights twice, not 4 times."""
    trace = in_format(network("resnet50"), make_recipe(INT8), "resnet50")
    (layer,) = (build for build in compile_trace(mvq_chip(PLAIN), trace).layers if build.name == "stage4.0.shortcut")
    assert sum(bits for (operand, _, _), bits in layer.bits.items() if operand == "raw_weights") == 2 * 1024 * 2048 * 8


def test_both_chips_differ_in_nothing_but_the_array() -> None:
    plain, enhanced = (load_accelerator(str(built_in().configs / "validation" / file)).model_dump() for file in (PLAIN, ENHANCED))
    assert {name for name in plain if plain[name] != enhanced[name]} == {"name", "description", "array"}
    changed = {name for name in plain["array"] if plain["array"][name] != enhanced["array"][name]}
    assert changed == {"dataflow", "weight_file"}


def test_the_command_prints_both_ratios_by_network() -> None:
    done = CliRunner().invoke(app, ["study", "mvq", "resnet18", "--json"], prog_name="accelsim")
    assert json.loads(done.stdout) == {"resnet18": {"over_ws": resnet18().over_ws, "over_ews": resnet18().over_ews}}


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(AccelsimError, match=r"unknown network 'resnet19'.*did you mean 'resnet18'"):
        mvq_speedups(["resnet19"])

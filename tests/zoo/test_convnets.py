"""Networks of the zoo have their published sizes, import with PyTorch's own counts, compute its values and run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.importers.import_model import import_model, import_program
from accelsim.simulation import simulate
from accelsim.trace.trace import save_trace
from tests import naive_graph

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402  # after the check that PyTorch is there

from tests.zoo import convnets  # noqa: E402

# Trained numbers as torchvision's pages of squeezenet1_0, densenet121, shufflenet_v2_x1_0 and mobilenet_v3_small state them. U-Net's are
# counted by hand: convolutions 28,942,850 with biases (two per level of 9 K K' + K', and the last), up-convolutions 4 K K' + K'.
PUBLISHED: dict[str, tuple[Callable[[], Any], int, tuple[int, ...]]] = {
    "SqueezeNet": (convnets.SqueezeNet, 1_248_424, (3, 224, 224)),
    "DenseNet-121": (convnets.DenseNet, 7_978_856, (3, 224, 224)),
    "ShuffleNet v2": (convnets.ShuffleNet, 2_278_604, (3, 224, 224)),
    "MobileNet v3 small": (convnets.MobileNetV3, 2_542_856, (3, 224, 224)),
    "U-Net": (convnets.UNet, 31_030_658, (1, 256, 256)),
}
SMALL: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "SqueezeNet": (lambda: convnets.SqueezeNet(8, ((4, 6), (4, 6), (4, 8)), 5), (3, 35, 41)),
    "DenseNet-121": (lambda: convnets.DenseNet(4, (2, 3), 5), (3, 32, 32)),
    "ShuffleNet v2": (lambda: convnets.ShuffleNet(((12, 2), (24, 2)), 16, 5), (3, 32, 32)),
    "MobileNet v3 small": (lambda: convnets.MobileNetV3(convnets.MobileNetV3.ROWS[:4], 24, 16), (3, 32, 32)),
    "U-Net": (lambda: convnets.UNet((3, 6, 12)), (1, 8, 12)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_imports_with_its_size_and_its_products(name: str) -> None:
    make, parameters, shape = PUBLISHED[name]
    with torch.device("meta"):
        network = make().eval()
        image = torch.zeros(1, *shape)
        program = torch.export.export(network, (image,))
        with FlopCounterMode(display=False) as count:
            network(image)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert import_program(program, "it", seed=1).macs == count.get_total_flops() // 2


@pytest.mark.parametrize("name", SMALL)
def test_a_small_one_computes_what_pytorch_computes_and_runs(name: str, tmp_path: Path) -> None:
    make, shape = SMALL[name]
    torch.manual_seed(2)
    network = make().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features))
            module.running_var.copy_(0.5 + torch.rand(module.num_features))
    torch.export.save(torch.export.export(network, (torch.zeros(1, *shape),)), tmp_path / "m.pt2")
    trace = import_model(str(tmp_path / "m.pt2"))
    image = torch.randn(1, *shape)
    with torch.no_grad():
        expected = copy.deepcopy(network).double()(image.double())[0].numpy()  # float64, as the definition: no order of summation matters
    (found,) = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: image[0].numpy()}, 0.0)[trace.manifest.outputs[0]]
    wanted = expected.reshape(expected.shape[0], -1).T
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    save_trace(trace, tmp_path / "float")
    assert simulate(load_accelerator("edge-64x64"), open_trace(f"{tmp_path / 'float'}@uniform:bits=8")).macs == trace.macs

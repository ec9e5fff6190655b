"""Networks of the zoo have their published sizes, import with PyTorch's own counts, compute its values and run."""

from __future__ import annotations

import copy
from pathlib import Path

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

from tests.zoo.layers import NETWORKS  # noqa: E402

# Trained numbers. torchvision's pages state those of squeezenet1_0, densenet121, shufflenet_v2_x1_0, mobilenet_v3_small, vgg16 and
# inception_v3 (27,161,264, of which 3,326,696 are its auxiliary classifier's). AlexNet's and GoogLeNet's are those of Caffe's models, by
# hand: each convolution K K C / groups + 1 per output. U-Net's, by hand: convolutions 28,942,850 with biases (two per level of
# 9 K K' + K', and the last), up-convolutions 4 K K' + K'. YOLO's file of weights has 35,434,956 bytes: a header of 20, and beside the
# trained numbers 6,368 means and variances.
PUBLISHED = {
    "SqueezeNet": 1_248_424,
    "DenseNet-121": 7_978_856,
    "ShuffleNet v2": 2_278_604,
    "MobileNet v3 small": 2_542_856,
    "U-Net": 31_030_658,
    "VGG-16": 138_357_544,
    "AlexNet": 60_965_224,
    "GoogLeNet": 6_998_552,
    "Inception v3": 27_161_264 - 3_326_696,
    "YOLO v3 tiny": (35_434_956 - 20) // 4 - 6_368,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_imports_with_its_size_and_its_products(name: str) -> None:
    found = NETWORKS[name]
    with torch.device("meta"):
        network = found.published().eval()
        image = torch.zeros(*found.published_input)
        program = torch.export.export(network, (image,))
        with FlopCounterMode(display=False) as count:
            network(image)
    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED[name]
    assert import_program(program, "it", seed=1).macs == count.get_total_flops() // 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_small_one_computes_what_pytorch_computes_and_runs(name: str, tmp_path: Path) -> None:
    shape = NETWORKS[name].small_input[1:]
    torch.manual_seed(2)
    network = NETWORKS[name].small().eval()
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
    for weight_format in ("uniform:bits=8", "ssvq:k=16,d=8"):
        assert simulate(load_accelerator("edge-64x64"), open_trace(f"{tmp_path / 'float'}@{weight_format}")).macs == trace.macs

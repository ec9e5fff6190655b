"""Networks built from their definitions have the published numbers of parameters and multiply-accumulates, and the published shapes."""

from __future__ import annotations

import math

import pytest

from accelsim.errors import TraceError
from accelsim.ops.affine import AffineLayer
from accelsim.studies.networks.catalog import chain, is_chain, network
from accelsim.studies.networks.decoders import model_of
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace

# torchvision's model pages ("num_params": weights, biases, and two numbers per channel of a batch norm).
TORCHVISION = {
    "mobilenet_v2": 3_504_872, "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160,
    "resnet152": 60_192_808, "inception_v1": 6_624_904,
    "inception_v3": 27_161_264 - 3_326_696,  # its auxiliary classifier: 768 x 128, 128 x 768 x 25 and 768 x 1000 weights, their norms
}  # fmt: skip
# The same pages; squeeze-and-excitation has biases in the place of norms.
SQUEEZED = {
    "mobilenet_v3_small": 2_542_856, "mobilenet_v3_large": 5_483_032, "efficientnet_b0": 5_288_548, "efficientnet_b1": 7_794_184,
    "efficientnet_b4": 19_341_616, "efficientnet_v2_s": 21_458_488,
}  # fmt: skip
DENSE = {"densenet121": 7_978_856, "densenet169": 14_149_480, "densenet201": 20_013_928}
# The same pages; these have no batch norm.
PLAIN = {
    "alexnet": 61_100_840, "vgg11": 132_863_336, "vgg16": 138_357_544, "vgg19": 143_667_240, "squeezenet_v1.0": 1_248_424,
    "squeezenet_v1.1": 1_235_496,
}  # fmt: skip
# Keras' model summaries ("Total params": four numbers per channel of a batch norm).
KERAS = {
    "mobilenet_v1": 4_253_864, "mobilenet_v1:depth=0.5": 1_342_536, "mobilenet_v1:depth=0.25": 475_544, "mobilenet_v2": 3_538_984,
    "mobilenet_v2:depth=0.5": 1_987_224,
}  # fmt: skip
KERAS_SQUEEZED = {
    "efficientnet_v2_b0": 7_200_312, "efficientnet_v2_b1": 8_212_124, "efficientnet_v2_b2": 10_178_374, "efficientnet_v2_b3": 14_467_622,
    "efficientnet_v2_s": 21_612_360,
}  # fmt: skip
KERAS_V2 = {"resnet50v2": 25_613_800, "resnet152v2": 60_380_648}
# Totals of the tensors on each model's page, a tied head counted once.
DECODERS = {
    "qwen2_0.5b": 494_032_768, "qwen2.5_1.5b": 1_543_714_304, "qwen2.5_3b": 3_085_938_688, "qwen2.5_7b": 7_615_616_512,
    "qwen3_0.6b": 596_049_920, "qwen3_1.7b": 1_720_574_976, "qwen3_4b": 4_022_468_096, "tinyllama_1.1b": 1_100_048_384,
    "llama2_7b": 6_738_415_616, "llama3_8b": 8_030_261_248, "llama3.2_1b": 1_235_814_400, "llama3.2_3b": 3_212_749_824,
    "smollm2_135m": 134_515_008, "internlm2_1.8b": 1_889_110_016, "phi3_3.8b": 3_821_079_552, "chatglm3_6b": 6_243_584_000,
    "gemma_2b": 2_506_172_416, "gemma2_2b": 2_614_341_888,
}  # fmt: skip


def folded_norms(trace: Trace) -> int:
    """Channels whose batch norm is folded into a convolution."""
    without = ("classifier", "hidden", ".squeeze", ".excite")
    return sum(layer.output.width for layer in trace.weighted_layers() if not layer.name.endswith(without))


@pytest.mark.parametrize(("network_id", "parameters"), [*TORCHVISION.items(), *SQUEEZED.items()])
def test_networks_with_batch_norms_have_the_published_parameters(network_id: str, parameters: int) -> None:
    trace = network(network_id)
    assert trace.parameters + folded_norms(trace) == parameters


@pytest.mark.parametrize(("network_id", "parameters"), DENSE.items())
def test_densenets_have_the_published_parameters(network_id: str, parameters: int) -> None:
    trace = network(network_id)
    folded = sum(layer.output.width for layer in trace.weighted_layers() if layer.name.endswith("conv1") or layer.name == "conv")
    assert trace.parameters + folded == parameters


@pytest.mark.parametrize(("network_id", "parameters"), PLAIN.items())
def test_networks_without_norms_have_the_published_parameters(network_id: str, parameters: int) -> None:
    assert network(network_id).parameters == parameters


@pytest.mark.parametrize(("network_id", "parameters"), [*KERAS.items(), *KERAS_SQUEEZED.items()])
def test_networks_by_scale_have_the_parameters_of_keras(network_id: str, parameters: int) -> None:
    trace = network(network_id)
    assert trace.parameters + 3 * folded_norms(trace) == parameters


@pytest.mark.parametrize(("network_id", "parameters"), KERAS_V2.items())
def test_pre_activated_resnets_have_the_parameters_of_keras(network_id: str, parameters: int) -> None:
    trace = network(network_id)
    normed = sum(layer.output.width for layer in trace.weighted_layers() if layer.name.endswith((".conv1", ".conv2")))
    moving = sum(layer.parameters for layer in trace.layers if isinstance(layer, AffineLayer))
    assert trace.parameters + 3 * normed + moving == parameters


@pytest.mark.parametrize(("name", "parameters"), DECODERS.items())
def test_language_models_have_the_parameters_of_their_pages(name: str, parameters: int) -> None:
    assert sum(math.prod(shape) for shape in model_of(name).tensors().values()) == parameters


def test_multiply_accumulates_are_those_of_the_papers() -> None:
    # Tan and Le 2019, table 2: 0.39 billion.
    # Howard et al. 2019, table 3: 219 and 56 million (large, small).
    # Howard et al., table 8: 569 and 41 million; Sandler et al., table 4: 300; He et al., table 1: 1.8 and 11.3 billion.
    published = {"mobilenet_v1": 569, "mobilenet_v1:depth=0.25": 41, "mobilenet_v2": 300, "resnet18": 1_800, "resnet152": 11_300}
    published |= {"efficientnet_b0": 390, "mobilenet_v3_large": 219, "mobilenet_v3_small": 56}
    for network_id, millions in published.items():
        assert network(network_id).macs / 1e6 == pytest.approx(millions, rel=0.02), network_id


def test_the_spelling_of_a_name_does_not_count() -> None:
    assert network("EfficientNetV2-B0").parameters == network("efficientnet_v2_b0").parameters
    assert network("MobileNet_V2:depth=0.5").macs == network("mobilenet_v2:depth=0.5").macs


def test_an_image_of_299_is_halved_upwards() -> None:
    trace = network("resnet50:resolution=299")
    assert trace.shapes["conv1"].rows == 150**2
    assert trace.shapes["stage4.2.add"].rows == 10**2


def test_a_decoder_reads_every_weight_but_its_embeddings_in_a_step() -> None:
    step = at_tokens(network("tinyllama_1.1b"), 1, 128)
    assert sum(layer.weight.count for layer in step.weighted_layers()) == 1_034_420_224  # 22 blocks of 44,040,192, a head of 65,536,000


def test_one_layer_has_neither_embeddings_nor_head() -> None:
    trace = network("llama_layer:hidden=4096,ffn=11008,heads=32,kv_heads=8")
    weights = [layer.weight.count for layer in trace.weighted_layers()]
    assert sum(weights) == 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 11008
    assert trace.manifest.outputs == (trace.layers[-1].name,)


def test_a_chain_of_convolutions_reads_the_layer_before() -> None:
    trace = chain("4096x4096_1x1_convolution_4x4_input", 8)
    assert [(layer.m, layer.k, layer.n) for layer in trace.weighted_layers()] == [(16, 4096, 4096)] * 8
    assert not is_chain("resnet50")
    with pytest.raises(TraceError, match="'resnet50' is no chain"):
        chain("resnet50", 8)


@pytest.mark.parametrize(
    ("network_id", "message"),
    [
        ("resnet55", "unknown network 'resnet55'; known: mobilenet_v1"),
        ("resnet50:width=2", "network 'resnet50:width=2': unknown parameter 'width'; known: resolution, classes"),
        ("mobilenet_v1:depth=x", "depth = 'x'; allowed: a number"),
        ("resnet50:resolution=-1", "network 'resnet50:resolution=-1': "),
        ("mobilenet_v2:depth=nan", "network 'mobilenet_v2:depth=nan': "),
        ("llama_layer:hidden=64", "network 'llama_layer:hidden=64': parameter 'ffn' is missing; needed: hidden, ffn, heads, kv_heads"),
    ],
)
def test_an_id_that_describes_no_network_is_refused(network_id: str, message: str) -> None:
    with pytest.raises(TraceError) as error:
        network(network_id)
    assert message in str(error.value)

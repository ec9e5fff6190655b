"""Networks built from their definitions have the published numbers of parameters and multiply-accumulates, and the published shapes."""

from __future__ import annotations

import math

import pytest

from accelsim.errors import TraceError
from accelsim.ops.affine import AffineLayer
from accelsim.studies.networks.catalog import FAMILIES, NAMES, chain, is_chain, network
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
# timm's model pages, which count as torchvision's do.
TIMM = {
    "inception_v4": 42_679_816, "inception_resnet_v2": 55_843_464, "efficientnet_lite0": 4_652_008, "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072, "efficientnet_lite3": 8_197_096, "efficientnet_lite4": 13_006_568, "efficientnet_edgetpu_s": 5_438_392,
    "efficientnet_edgetpu_m": 6_899_496, "efficientnet_edgetpu_l": 10_589_712, "mnasnet": 4_383_312, "semnasnet": 3_887_038,
    "regnet_x_002": 2_684_792, "regnet_x_004": 5_157_512, "mobilenet_v4_conv_small": 3_774_024,
}  # fmt: skip
# Ultralytics' model files ("parameters": two numbers per channel of a batch norm), without the 16 constants that decode boxes; v5n and v5s
# are stated with their norms folded.
ULTRALYTICS = {
    "yolo_v8n": 3_157_200 - 16, "yolo_v8s": 11_166_560 - 16, "yolo_v8m": 25_902_640 - 16, "yolo_v5nu": 2_654_816 - 16,
    "yolo_v5su": 9_153_152 - 16, "yolo_11n": 2_624_080 - 16, "yolo_11s": 9_458_752 - 16,
}  # fmt: skip
FOLDED_ULTRALYTICS = {"yolo_v5n": 1_867_405, "yolo_v5s": 7_225_885}
# OpenVINO's model pages: millions of parameters and of multiply-accumulates (half their "GFLOPs"), norms folded. Qin et al., arXiv
# 1802.03750, table 2, of FD-MobileNet.
IN_MILLIONS = {
    "inception_v2": (11.185, 2_029), "ssd_mobilenet_v1": (6.807, 1_247), "ssd_mobilenet_v2": (16.818, 1_887.5),
    "ssdlite_mobilenet_v2": (4.475, 762.5), "yolo_v2_tiny": (11.229, 2_712), "fd_mobilenet": (2.9, 144),
}  # fmt: skip
# Sizes of MLPerf Tiny's reference models as Keras counts them: parameters, and channels of batch norms (four numbers each).
MLPERF_TINY = {
    "ds_cnn_kws": (24_908, 9 * 64), "mobilenet_vww": (221_794, 2_736), "resnet_8_ic": (78_666, 3 * 16 + 2 * 32 + 2 * 64),
    "autoencoder_ad": (269_992, 8 * 128 + 8),
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
    "qwen1.5_0.5b": 463_987_712, "qwen1.5_1.8b": 1_836_828_672, "qwen1.5_4b": 3_950_369_280, "qwen2.5_14b": 14_770_033_664,
    "deepseek_r1_distill_qwen_1.5b": 1_777_088_000, "deepseek_r1_distill_qwen_7b": 7_615_616_512,
    "deepseek_r1_distill_llama_8b": 8_030_261_248, "qwen3_8b": 8_190_735_360, "qwen3_14b": 14_768_307_200,
    "llama2_13b": 13_015_864_320, "mistral_7b": 7_241_732_096, "smollm2_360m": 361_821_120, "smollm2_1.7b": 1_711_376_384,
    "smollm3_3b": 3_075_098_624, "internlm2_7b": 7_737_708_544, "internlm3_8b": 8_804_241_408, "phi4_mini": 3_836_021_760,
    "gemma3_270m": 268_098_176, "gemma3_1b": 999_885_952, "minicpm3_4b": 4_073_875_968,
}  # fmt: skip
# Totals that are published in billions alone.
ROUNDED_DECODERS = {"telechat2_3b": 3.07, "minicpm_2b": 2.72, "gemma3_4b": 3.88}


def folded_norms(trace: Trace) -> int:
    """Channels whose batch norm is folded into a convolution."""
    without = ("classifier", "hidden", ".squeeze", ".excite", ".widened", ".boxes", ".classes")
    return sum(layer.output.width for layer in trace.weighted_layers() if not layer.name.endswith(without))


@pytest.mark.parametrize(("network_id", "parameters"), [*TORCHVISION.items(), *SQUEEZED.items(), *TIMM.items(), *ULTRALYTICS.items()])
def test_networks_with_batch_norms_have_the_published_parameters(network_id: str, parameters: int) -> None:
    trace = network(network_id)
    assert trace.parameters + folded_norms(trace) == parameters


@pytest.mark.parametrize(("network_id", "parameters"), DENSE.items())
def test_densenets_have_the_published_parameters(network_id: str, parameters: int) -> None:
    trace = network(network_id)
    folded = sum(layer.output.width for layer in trace.weighted_layers() if layer.name.endswith("conv1") or layer.name == "conv")
    assert trace.parameters + folded == parameters


@pytest.mark.parametrize(("network_id", "parameters"), [*PLAIN.items(), *FOLDED_ULTRALYTICS.items()])
def test_networks_without_norms_have_the_published_parameters(network_id: str, parameters: int) -> None:
    assert network(network_id).parameters == parameters


@pytest.mark.parametrize(("network_id", "published"), IN_MILLIONS.items())
def test_networks_have_the_millions_of_parameters_and_products_that_are_published(network_id: str, published: tuple[float, float]) -> None:
    trace = network(network_id)
    assert (trace.parameters / 1e6, trace.macs / 1e6) == (pytest.approx(published[0], rel=3e-3), pytest.approx(published[1], rel=0.02))


@pytest.mark.parametrize(("network_id", "published"), MLPERF_TINY.items())
def test_the_networks_of_mlperf_tiny_have_its_parameters(network_id: str, published: tuple[int, int]) -> None:
    parameters, normed = published
    assert network(network_id).parameters + 4 * normed == parameters


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


@pytest.mark.parametrize(("name", "billions"), ROUNDED_DECODERS.items())
def test_language_models_have_the_billions_of_parameters_that_are_published(name: str, billions: float) -> None:
    assert sum(math.prod(shape) for shape in model_of(name).tensors().values()) == pytest.approx(billions * 1e9, rel=0.003)


def test_no_two_networks_share_a_spelling() -> None:
    assert len(NAMES) == len(FAMILIES)


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
    assert network("YOLOv8n").macs == network("yolo_v8n").macs
    assert network("SqueezeNet v11").macs == network("squeezenet_v1.1").macs
    assert network("SmolLM2-135M-Instruct").macs == network("smollm2_135m").macs


def test_an_image_of_299_is_halved_upwards() -> None:
    trace = network("resnet50:resolution=299")
    assert trace.shapes["conv1"].rows == 150**2
    assert trace.shapes["stage4.2.add"].rows == 10**2


def test_the_keyword_network_halves_its_frames_and_coefficients_upwards() -> None:
    assert network("ds_cnn_kws").shapes["conv"].rows == 25 * 5


def test_a_detector_puts_out_boxes_and_classes_of_each_map() -> None:
    trace = network("yolo_v8n:resolution=256")
    assert [trace.shapes[name].dims for name in trace.manifest.outputs] == [
        (1, side * side, width) for side in (32, 16, 8) for width in (64, 80)
    ]
    trace = network("ssd_mobilenet_v1")
    assert [trace.shapes[name].rows for name in trace.manifest.outputs[::2]] == [19**2, 10**2, 5**2, 3**2, 2**2, 1]


def test_a_decoder_reads_every_weight_but_its_embeddings_in_a_step() -> None:
    step = at_tokens(network("tinyllama_1.1b"), 1, 128)
    assert sum(layer.weight.count for layer in step.weighted_layers()) == 1_034_420_224  # 22 blocks of 44,040,192, a head of 65,536,000


def test_latent_attention_reads_all_its_matrices_and_caches_narrow_rows() -> None:
    """MiniCPM3: 62 blocks of queries (768 wide), keys and values (256 wide, 32 turned), 40 heads of 64 + 32 and 64, and a tied head."""
    step = at_tokens(network("minicpm3_4b"), 1, 160)
    attention = 2560 * 768 + 768 * 40 * 96 + 2560 * (256 + 32) + 256 * 40 * (64 + 64) + 40 * 64 * 2560
    assert sum(layer.weight.count for layer in step.weighted_layers()) == 62 * (attention + 3 * 2560 * 6400) + 73448 * 2560
    products = [layer.head_product for layer in step.layers if layer.name.startswith("blk.0.") and layer.head_product is not None]
    assert [(product.m, product.k, product.n) for product in products] == [(40, 256, 161), (40, 32, 161), (40, 161, 256)]
    assert all(product.from_cache for product in products)
    assert not any(layer.op == "move" for layer in step.layers)  # heads side by side are read where they lie


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

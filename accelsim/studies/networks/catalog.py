"""Networks by an id like `mobilenet_v2:depth=0.35,resolution=128,classes=1000`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from accelsim.errors import AccelsimError, TraceError
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.presets import built_in
from accelsim.registry import suggest
from accelsim.studies.networks.convnet import SEED
from accelsim.studies.networks.decoders import MODELS, SAME, decoder, decoder_layer
from accelsim.studies.networks.densenet import BLOCKS as DENSE_BLOCKS
from accelsim.studies.networks.densenet import densenet
from accelsim.studies.networks.efficientnet import (
    efficientnet,
    efficientnet_edge,
    efficientnet_lite,
    efficientnet_v2,
    efficientnet_v2_s,
    mnasnet,
)
from accelsim.studies.networks.inception import inception_v1, inception_v2, inception_v3
from accelsim.studies.networks.inception_v4 import inception_resnet_v2, inception_v4
from accelsim.studies.networks.mlperf_tiny import anomaly_detection, image_classification, keyword_spotting, wake_words
from accelsim.studies.networks.mobilenet import fd_mobilenet, mobilenet_v1, mobilenet_v2
from accelsim.studies.networks.mobilenet_v3 import mobilenet_v3
from accelsim.studies.networks.mobilenet_v4 import mobilenet_v4_small
from accelsim.studies.networks.plain import VGG_STAGES, alexnet, squeezenet, vgg
from accelsim.studies.networks.regnet import STAGES, regnet_x
from accelsim.studies.networks.resnet import BLOCKS, resnet, resnet_v2
from accelsim.studies.networks.ssd import ssd_mobilenet_v1, ssd_mobilenet_v2, ssdlite_mobilenet_v2
from accelsim.studies.networks.yolo import SCALES_11, SCALES_V5, SCALES_V8, yolo_11, yolo_v2_tiny, yolo_v5, yolo_v8
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace

_IMAGES: Mapping[str, type] = {"resolution": int, "classes": int}
_MOBILE: Mapping[str, type] = {"depth": float, **_IMAGES}
_LAYER: Mapping[str, type] = {"hidden": int, "ffn": int, "heads": int, "kv_heads": int}
_CHAIN = re.compile(r"([0-9]{1,6})x([0-9]{1,6})_1x1_convolution_([0-9]{1,4})x([0-9]{1,4})_input")
Build = Callable[..., Trace]

FAMILIES: Mapping[str, tuple[Build, Mapping[str, type]]] = {
    "mobilenet_v1": (mobilenet_v1, _MOBILE),
    "mobilenet_v2": (mobilenet_v2, _MOBILE),
    "fd_mobilenet": (fd_mobilenet, _MOBILE),
    **{f"mobilenet_v3_{size}": (partial(mobilenet_v3, large=size == "large"), _IMAGES) for size in ("small", "large")},
    **{f"efficientnet_b{scale}": (partial(efficientnet, scale=scale), _IMAGES) for scale in range(5)},
    **{f"efficientnet_v2_b{scale}": (partial(efficientnet_v2, scale=scale), _IMAGES) for scale in range(4)},
    "efficientnet_v2_s": (efficientnet_v2_s, _IMAGES),
    **{f"efficientnet_lite{scale}": (partial(efficientnet_lite, scale=scale), _IMAGES) for scale in range(5)},
    **{f"efficientnet_edgetpu_{size}": (partial(efficientnet_edge, size=size), _IMAGES) for size in "sml"},
    "mobilenet_v4_conv_small": (mobilenet_v4_small, _IMAGES),
    "mnasnet": (partial(mnasnet, squeezed=False), _IMAGES),
    "semnasnet": (partial(mnasnet, squeezed=True), _IMAGES),
    **{f"regnet_x_{size}": (partial(regnet_x, size=size), _IMAGES) for size in STAGES},
    "alexnet": (alexnet, _IMAGES),
    "squeezenet": (partial(squeezenet, version="1.0"), _IMAGES),
    **{f"squeezenet_v{version}": (partial(squeezenet, version=version), _IMAGES) for version in ("1.0", "1.1")},
    **dict.fromkeys(("inception_v1", "googlenet"), (inception_v1, _IMAGES)),
    "inception_v2": (inception_v2, _IMAGES),
    "inception_v3": (inception_v3, _IMAGES),
    "inception_v4": (inception_v4, _IMAGES),
    "inception_resnet_v2": (inception_resnet_v2, _IMAGES),
    "ds_cnn_kws": (keyword_spotting, {}),
    "mobilenet_vww": (wake_words, {}),
    **dict.fromkeys(("resnet8", "resnet_8_ic"), (image_classification, _IMAGES)),
    "autoencoder_ad": (anomaly_detection, {}),
    **{f"densenet{layers}": (partial(densenet, layers=layers), _IMAGES) for layers in DENSE_BLOCKS},
    **{f"resnet{layers}{v}": (partial(resnet, layers=layers), _IMAGES) for layers in BLOCKS for v in ("", "v1")},
    **{f"resnet{layers}v2": (partial(resnet_v2, layers=layers), _IMAGES) for layers in BLOCKS if layers >= 50},
    **{f"vgg{layers}": (partial(vgg, layers=layers), _IMAGES) for layers in VGG_STAGES},
    "ssd_mobilenet_v1": (ssd_mobilenet_v1, _IMAGES),
    "ssd_mobilenet_v2": (ssd_mobilenet_v2, _IMAGES),
    "ssdlite_mobilenet_v2": (ssdlite_mobilenet_v2, _IMAGES),
    **dict.fromkeys(("yolo_v2_tiny", "tiny_yolo_v2"), (yolo_v2_tiny, _IMAGES)),
    **{f"yolo_v5{scale}": (partial(yolo_v5, scale=scale), _IMAGES) for scale in SCALES_V5},
    **{f"yolo_v5{scale}u": (partial(yolo_v5, scale=scale, split_head=True), _IMAGES) for scale in SCALES_V5},
    **{f"yolo_v8{scale}": (partial(yolo_v8, scale=scale), _IMAGES) for scale in SCALES_V8},
    **{f"yolo_{v}11{scale}": (partial(yolo_11, scale=scale), _IMAGES) for scale in SCALES_11 for v in ("", "v")},
    **{model: (partial(decoder, model=model), {}) for model in (*MODELS, *SAME)},
    "llama_layer": (decoder_layer, _LAYER),
}


def _spelling(name: str) -> str:
    """A name without its case, spaces, dots, hyphens and underscores, in which sources differ, and without what tells a model's tuning."""
    return re.sub(r"[-_. ]", "", name.lower()).removesuffix("instruct").removesuffix("chat")


NAMES: Mapping[str, str] = {_spelling(name): name for name in FAMILIES}


@cache
def network(network_id: str) -> Trace:
    """The float trace of an id, shapes alone; case, spaces, dots, hyphens and underscores of its name do not count.

    Raises
    ------
    TraceError
        An unknown network or parameter, or a size that its definition cannot have.
    """
    name, _, text = network_id.partition(":")
    name = NAMES.get(_spelling(name), name)
    if name == "deit_tiny" and not text:
        return load_trace(built_in().traces / "deit_tiny_float")
    if name not in FAMILIES:
        raise TraceError(f"unknown network {name!r}; known: {', '.join((*FAMILIES, 'deit_tiny'))}{suggest(name, FAMILIES)}")
    build, kinds = FAMILIES[name]
    try:
        return build(network_id, **_parameters(network_id, text, kinds))
    except (AccelsimError, ValueError, ZeroDivisionError) as error:
        raise TraceError(f"network {network_id!r}: {error}") from None


def is_chain(network_id: str) -> bool:
    """Whether an id has the form `KxN_1x1_convolution_HxW_input`."""
    return _CHAIN.fullmatch(network_id) is not None


def chain(network_id: str, layers: int) -> Trace:
    """So many layers of an id of which `is_chain` is true, each reading the one before."""
    match = _CHAIN.fullmatch(network_id)
    if match is None:
        raise TraceError(f"network {network_id!r} is no chain; allowed: KxN_1x1_convolution_HxW_input")
    inputs, outputs, height, width = (int(text) for text in match.groups())
    builder = GraphBuilder()
    view = builder.tokens("rows", height * width, inputs)
    for number in range(layers):
        view = builder.linear(f"layer{number}", view, outputs, bias=False)
    return Trace(
        Manifest(
            name=f"{network_id} x {layers}", source=seeded_source(SEED), inputs=tuple(builder.inputs), outputs=(view.producer,),
            layers=builder.layers,
        )
    )  # fmt: skip


def _parameters(network_id: str, text: str, kinds: Mapping[str, type]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in text.split(",") if text else ():
        name, _, value = item.partition("=")
        if name not in kinds:
            raise TraceError(f"unknown parameter {name!r}; known: {', '.join(kinds) or 'none'}")
        try:
            found[name] = kinds[name](value)
        except ValueError:
            found[name] = 0
        if not 0 < found[name] < math.inf:
            raise TraceError(f"{name} = {value!r}; allowed: {'a number' if kinds[name] is float else 'a whole number'} above 0")
    missing = [name for name in kinds if name not in found]
    if missing and kinds is _LAYER:
        raise TraceError(f"parameter {missing[0]!r} is missing; needed: {', '.join(kinds)}")
    return found

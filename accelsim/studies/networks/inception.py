"""Inception v1 (GoogLeNet: Szegedy et al., arXiv 1409.4842, table 1) without its auxiliary classifiers.

Disputable assumption: the branch that the paper draws as 5x5 has 3x3 windows, as in the TensorFlow model that boards run
(and in torchvision).
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import ConvNet
from accelsim.trace.trace import Trace

# Of each module: 1x1; reduction and 3x3; reduction and "5x5"; 1x1 behind the pool.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
_POOLED_AFTER = {"3b": 3, "4e": 2}  # module: taps


def inception_v1(name: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """Inception v1."""
    net = ConvNet(resolution)
    view = net.max_pool("pool1", net.conv("conv1", net.image, 64, 7, 2), 3, 2, far=1)
    view = net.conv("conv2.3x3", net.conv("conv2.reduce", view, 64), 192, 3)
    view = net.max_pool("pool2", view, 3, 2, far=1)
    for module, sizes in _MODULES.items():
        view = _module(net, module, view, sizes)
        taps = _POOLED_AFTER.get(module)
        view = view if taps is None else net.max_pool(f"pool_{module}", view, taps, 2, far=taps - 2)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def _module(net: ConvNet, name: str, view: View, sizes: tuple[int, ...]) -> View:
    one, reduce3, three, reduce5, five, behind_pool = sizes
    return net.join(
        f"{name}.join",
        net.conv(f"{name}.1x1", view, one),
        net.conv(f"{name}.3x3", net.conv(f"{name}.3x3_reduce", view, reduce3), three, 3),
        net.conv(f"{name}.5x5", net.conv(f"{name}.5x5_reduce", view, reduce5), five, 3),
        net.conv(f"{name}.pool_project", net.max_pool(f"{name}.pool", view, 3, 1, 1), behind_pool),
    )

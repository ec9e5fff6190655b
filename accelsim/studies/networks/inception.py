"""Inception without auxiliary classifiers: v1 (GoogLeNet: Szegedy et al., arXiv 1409.4842, table 1), v2 (arXiv 1502.03167, figure 5) and v3
(arXiv 1512.00567).

Disputable assumptions: the branch of v1 that the paper draws as 5x5 has 3x3 windows; where the TensorFlow models that boards run have other
widths than the papers of v2 and v3, or these leave them open, they are those of the models (v3: and of torchvision).
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
# Of each module of v2: 1x1 (0: the module halves the image); reduction and 3x3; reduction and both 3x3; 1x1 behind the pool.
_V2 = {
    "3b": (64, 64, 64, 64, 96, 32), "3c": (64, 64, 96, 64, 96, 64), "4a": (0, 128, 160, 64, 96, 0),
    "4b": (224, 64, 96, 96, 128, 128), "4c": (192, 96, 128, 96, 128, 128), "4d": (160, 128, 160, 128, 160, 96),
    "4e": (96, 128, 192, 160, 192, 96), "5a": (0, 128, 192, 192, 256, 0),
    "5b": (352, 192, 320, 160, 224, 128), "5c": (352, 192, 320, 192, 224, 128),
}  # fmt: skip
_LAST_V2 = "5c"  # its pool takes the largest elements
_POOLED_AFTER = {"3b": 3, "4e": 2}  # module: taps
# Of v3's modules: outputs behind the pool; inner outputs of the 7x7 branches.
_V3_FINE = {"5b": 32, "5c": 64, "5d": 64}
_V3_MIDDLE = {"6b": 128, "6c": 160, "6d": 160, "6e": 192}
_V3_COARSE = ("7b", "7c")
ROW, COLUMN = (1, 7), (7, 1)


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


def inception_v2(name: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """Inception v2."""
    net = ConvNet(resolution)
    view = net.max_pool("pool1", net.conv("conv1", net.image, 64, 7, 2), 3, 2, far=1)
    view = net.conv("conv2.3x3", net.conv("conv2.reduce", view, 64), 192, 3)
    view = net.max_pool("pool2", view, 3, 2, far=1)
    for module, (one, reduce3, three, reduce5, five, behind_pool) in _V2.items():
        stride = 1 if one else 2
        sides = [net.conv(f"{module}.1x1", view, one)] if one else []
        sides.append(net.conv(f"{module}.3x3", net.conv(f"{module}.3x3_reduce", view, reduce3), three, 3, stride))
        sides.append(net.conv(f"{module}.double", chain(net, f"{module}.double", view, (reduce5, 1), (five, 3)), five, 3, stride))
        if not one:
            sides.append(net.max_pool(f"{module}.pool", view, 3, 2, far=1))
        elif module == _LAST_V2:
            sides.append(net.conv(f"{module}.pool_project", net.max_pool(f"{module}.pool", view, 3, 1, 1), behind_pool))
        else:
            sides.append(pooled(net, module, view, behind_pool))
        view = net.join(f"{module}.join", *sides)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def inception_v3(name: str, resolution: int = 299, classes: int = 1000) -> Trace:
    """Inception v3."""
    net = ConvNet(resolution)
    view = net.conv("conv2", net.conv("conv1", net.image, 32, 3, 2, 0), 32, 3, 1, 0)
    view = net.max_pool("pool1", net.conv("conv3", view, 64, 3), 3, 2)
    view = net.conv("conv5", net.conv("conv4", view, 80), 192, 3, 1, 0)
    view = net.max_pool("pool2", view, 3, 2)
    for module, behind_pool in _V3_FINE.items():
        five = net.conv(f"{module}.5x5", net.conv(f"{module}.5x5_reduce", view, 48), 64, 5)
        double = chain(net, f"{module}.double", view, (64, 1), (96, 3), (96, 3))
        view = net.join(f"{module}.join", net.conv(f"{module}.1x1", view, 64), five, double, pooled(net, module, view, behind_pool))
    three = net.conv("6a.3x3", view, 384, 3, 2, 0)
    double = net.conv("6a.double", chain(net, "6a.double", view, (64, 1), (96, 3)), 96, 3, 2, 0)
    view = net.join("6a.join", three, double, net.max_pool("6a.pool", view, 3, 2))
    for module, width in _V3_MIDDLE.items():
        seven = chain(net, f"{module}.7x7", view, (width, 1), (width, ROW), (192, COLUMN))
        double = chain(net, f"{module}.double", view, (width, 1), (width, COLUMN), (width, ROW), (width, COLUMN), (192, ROW))
        view = net.join(f"{module}.join", net.conv(f"{module}.1x1", view, 192), seven, double, pooled(net, module, view, 192))
    three = net.conv("7a.3x3", net.conv("7a.3x3_reduce", view, 192), 320, 3, 2, 0)
    seven = net.conv("7a.7x7", chain(net, "7a.7x7", view, (192, 1), (192, ROW), (192, COLUMN)), 192, 3, 2, 0)
    view = net.join("7a.join", three, seven, net.max_pool("7a.pool", view, 3, 2))
    for module in _V3_COARSE:
        three = net.conv(f"{module}.3x3_reduce", view, 384)
        double = chain(net, f"{module}.double", view, (448, 1), (384, 3))
        sides = (net.conv(f"{module}.{branch}.{high}x{wide}", inner, 384, (high, wide))
                 for branch, inner in (("3x3", three), ("double", double)) for high, wide in ((1, 3), (3, 1)))  # fmt: skip
        view = net.join(f"{module}.join", net.conv(f"{module}.1x1", view, 320), *sides, pooled(net, module, view, 192))
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def chain(net: ConvNet, name: str, view: View, *layers: tuple[int, int | tuple[int, int]]) -> View:
    """Convolutions one behind the other: (outputs, taps) of each."""
    for number, (outputs, taps) in enumerate(layers, 1):
        view = net.conv(f"{name}.{number}", view, outputs, taps)
    return view


def pooled(net: ConvNet, name: str, view: View, outputs: int) -> View:
    """A 1x1 convolution of the mean of each window."""
    return net.conv(f"{name}.pool_project", net.average_pool(f"{name}.pool", view, 3, 1, 1), outputs)

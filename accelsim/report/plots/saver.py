"""A laid-out figure as the bytes of a file, enlarged to its style: SVG with real text, PNG, PDF and PGF.

Equal figures give equal bytes: no file holds a date or the version of Matplotlib.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping

import matplotlib as mpl
from matplotlib.backends.backend_pdf import Op, PdfFile, RendererPdf
from matplotlib.figure import Figure

from accelsim.report.plots.picture_style import LATEX, check_latex

PNG_DPI = 300
_POINTS = 72  # per inch
_NO_DATES = {"Creator": None, "Producer": None, "CreationDate": None}


def saved(figure: Figure, ending: str, scale: float = 1.0) -> bytes:
    """The file's content; to be called within `look`.

    Raises
    ------
    OutputError
        A PGF without LaTeX.
    """
    return _SAVERS[ending](figure, scale)


def _svg(figure: Figure, scale: float, fonttype: str = "none") -> bytes:
    """With text as text, which a reader can search and an editor can change."""
    out = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": fonttype}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    if scale == 1:
        return out.getvalue()

    def enlarged(size: re.Match[bytes]) -> bytes:
        return b'%s="%.6gpt"' % (size[1], float(size[2]) * scale)

    head, found, rest = out.getvalue().partition(b"viewBox=")
    return re.sub(rb'(width|height)="([\d.]+)pt"', enlarged, head + found + rest, count=2)


def svg_outlines(figure: Figure) -> bytes:
    """An SVG whose letters are outlines, which needs no font where it is shown."""
    return _svg(figure, 1.0, "path")


def _png(figure: Figure, scale: float) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=PNG_DPI * scale, metadata={"Software": None})
    return out.getvalue()


def _pdf(figure: Figure, scale: float) -> bytes:
    """By Matplotlib's own writer, on a page that is `scale` times as large; letters are embedded as TrueType."""
    out = io.BytesIO()
    width, height = figure.get_size_inches()
    dpi, figure.dpi = figure.dpi, _POINTS
    with mpl.rc_context({"pdf.fonttype": 42}):
        file = PdfFile(out, metadata=_NO_DATES)
        file.newPage(width * scale, height * scale)
        file.output(scale, 0, 0, scale, 0, 0, Op.concat_matrix)
        renderer = RendererPdf(file, _POINTS, height, width)
        figure.draw(renderer)
        renderer.finalize()
        file.finalize()
        file.close()
    figure.dpi = dpi
    return out.getvalue()


def _pgf(figure: Figure, scale: float) -> bytes:
    """For \\input into a document, whose fonts it takes."""
    check_latex()
    out = io.BytesIO()
    with mpl.rc_context({"pgf.texsystem": LATEX, "pgf.rcfonts": False}):
        figure.savefig(out, format="pgf")
    drawing = out.getvalue()
    return drawing if scale == 1 else b"\\scalebox{%.6g}{%%\n%s}%%\n" % (scale, drawing)


_SAVERS: Mapping[str, Callable[[Figure, float], bytes]] = {"svg": _svg, "png": _png, "pdf": _pdf, "pgf": _pgf}

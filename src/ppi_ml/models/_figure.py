"""The one module that cannot be imported without matplotlib; only `drawing` imports it."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine


class Picture(Figure):
    """A figure that a notebook shows although pyplot does not know it."""

    def __init__(self, width: float, height: float) -> None:
        """An empty figure; both in inches, of 100 pixels."""
        layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07)
        super().__init__((width, height), dpi=100, facecolor="white", layout=layout)

    def _repr_png_(self) -> bytes:
        image = BytesIO()
        self.savefig(image, format="png")
        return image.getvalue()

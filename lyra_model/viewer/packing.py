"""Gaussians packed for a page: 30 bytes each, one base64 string per field, little endian.

| field     | stored as         | meaning                                                       |
| --------- | ----------------- | ------------------------------------------------------------- |
| means     | 3 x float32       | world, OpenCV axes                                            |
| scales    | 3 x uint16        | exp(low + code / 65535 * (high - low)), `scale_log_range`     |
| rotations | 4 x int16         | code / 32767, (w, x, y, z), own axes to world                 |
| rgba      | 4 x uint8         | code / 255, colour and opacity                                |

A compressed field is a zlib stream of the same values rounded to fewer bits, its bytes in planes:
the first byte of every value, then the second, and so on. gaussian_cloud.js reads this layout; the
two change together.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from lyra_model.gaussians import Gaussians

MAX_GAUSSIANS = 60_000
"""More would make a report heavy to send and slow to draw; the most visible ones are kept."""

_SMALLEST_SCALE = 1e-7  # world units: under it a Gaussian is a point, and its logarithm is lost

_DTYPES = {"means": "<u4", "scales": "<u2", "rotations": "<i2", "rgba": "u1"}
_STEPS = {"means": 128, "scales": 16, "rotations": 16, "rgba": 1}
"""Multiples that compression rounds codes to. It leaves means 17 significant bits (0.1 mm at 10 m,
rounded as the bits of a float), scales 12 bits of their range, rotations steps of 0.03 degrees."""


@dataclass(frozen=True)
class PackedGaussians:
    """The Gaussians that the viewer decodes.

    Attributes:
        num_gaussians: how many are packed.
        num_available: how many there were.
        scale_log_range: natural logarithms of the least and the greatest scale.
        planes: bytes of one value of each compressed field; None: nothing is compressed.
    """

    num_gaussians: int
    num_available: int
    scale_log_range: tuple[float, float]
    means: str
    scales: str
    rotations: str
    rgba: str
    planes: dict[str, int] | None = None


def pack_gaussians(gaussians: Gaussians, *, at_most: int = MAX_GAUSSIANS) -> PackedGaussians:
    """Quantise Gaussians for the viewer; of too many, keep those of most opacity x area."""
    available = len(gaussians)
    kept = gaussians.detach().to("cpu").map(lambda field: field.float())
    if available > at_most:
        two_largest = kept.scales.sort(dim=-1).values[:, 1:]
        visibility = kept.opacities * two_largest.prod(dim=-1)
        order = visibility.argsort(descending=True, stable=True)
        kept = kept[order[:at_most].sort().values]
    logarithms = np.log(np.maximum(kept.scales.numpy(), _SMALLEST_SCALE))
    low, high = (float(logarithms.min()), float(logarithms.max())) if len(kept) else (0.0, 0.0)
    span = max(high - low, 1e-6)
    quats = kept.quats.numpy()
    quats = quats / np.maximum(np.linalg.norm(quats, axis=-1, keepdims=True), 1e-12)
    rgba = np.concatenate([kept.colors.numpy(), kept.opacities.numpy()[:, None]], axis=-1)
    return PackedGaussians(
        num_gaussians=len(kept),
        num_available=available,
        scale_log_range=(low, low + span),
        means=_base64(kept.means.numpy(), "<f4"),
        scales=_base64(_codes((logarithms - low) / span, 65535), "<u2"),
        rotations=_base64(np.rint(quats * 32767), "<i2"),
        rgba=_base64(_codes(rgba, 255), "u1"),
    )


def compressed(packed: PackedGaussians) -> PackedGaussians:
    """Return packed Gaussians whose fields are rounded and compressed: two thirds of the size."""
    fields = {}
    for name, dtype in _DTYPES.items():
        values = np.frombuffer(base64.b64decode(getattr(packed, name)), dtype)
        rounded = _rounded(values, _STEPS[name])
        planes = rounded.view(np.uint8).reshape(len(rounded), rounded.itemsize).T
        stream = zlib.compress(np.ascontiguousarray(planes).tobytes(), level=6)
        fields[name] = base64.b64encode(stream).decode("ascii")
    widths = {name: np.dtype(dtype).itemsize for name, dtype in _DTYPES.items()}
    return replace(packed, **fields, planes=widths)


def unpacked(packed: PackedGaussians) -> Gaussians:
    """Return the Gaussians that a page decodes: gaussian_cloud.js in Python."""
    arrays = {}
    for name, dtype in _DTYPES.items():
        data = base64.b64decode(getattr(packed, name))
        if packed.planes is not None:
            planes = np.frombuffer(zlib.decompress(data), np.uint8)
            width = packed.planes[name]
            data = planes.reshape(width, len(planes) // width).T.tobytes()
        arrays[name] = np.frombuffer(data, "<f4" if name == "means" else dtype)
    low, high = packed.scale_log_range
    scales = np.exp(low + arrays["scales"].astype(np.float64) / 65535 * (high - low))
    rgba = torch.from_numpy(arrays["rgba"].reshape(-1, 4).astype(np.float32) / 255)
    quats = torch.from_numpy(arrays["rotations"].reshape(-1, 4).astype(np.float32))
    return Gaussians(
        means=torch.from_numpy(arrays["means"].reshape(-1, 3).copy()),
        scales=torch.from_numpy(scales.reshape(-1, 3).astype(np.float32)),
        quats=torch.nn.functional.normalize(quats, dim=-1),
        opacities=rgba[:, 3],
        colors=rgba[:, :3],
    )


def _rounded(codes: np.ndarray, step: int) -> np.ndarray:
    """Round codes to multiples of `step`, or to the end of their range."""
    rounded = (codes.astype(np.int64) + step // 2) // step * step
    limits = np.iinfo(codes.dtype)
    return rounded.clip(limits.min, limits.max).astype(codes.dtype)


def _codes(values: Float[np.ndarray, "gaussian channel"], highest: int) -> np.ndarray:
    """Return values 0..1 as whole numbers 0..highest."""
    return np.rint(np.clip(values, 0.0, 1.0) * highest)


def _base64(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")

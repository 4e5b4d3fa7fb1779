"""The choices that convert's options have."""

from __future__ import annotations

from enum import StrEnum


class Layout(StrEnum):
    """The layout or kind of file that is written."""

    lyra = "lyra"
    webdataset = "webdataset"
    lyra_data = "lyra-data"
    spz = "spz"
    sog = "sog"
    splat = "splat"
    ply_compressed = "ply-compressed"
    usdz = "usdz"
    html = "html"


class Repair(StrEnum):
    """A repair on the way."""

    flipped_poses = "flipped-poses"


class Latents(StrEnum):
    """The number format of latents that come from Lyra's layout."""

    half = "half"
    lossless = "lossless"

"""Annotators: raw material in, clips with poses and depth out."""

from lyra_data.annotators.base import Annotator
from lyra_data.registry import Registry

ANNOTATORS: Registry[Annotator] = Registry(
    "annotator",
    {
        "colmap": "lyra_data.annotators.colmap:ColmapAnnotator",
        "given": "lyra_data.annotators.given:GivenAnnotator",
        "vipe": "lyra_data.annotators.vipe:VipeAnnotator",
    },
)

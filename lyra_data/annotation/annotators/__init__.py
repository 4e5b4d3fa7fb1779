"""Annotators: raw material in, clips with poses and depth out."""

from lyra_data.annotation.annotators.base import Annotator
from lyra_data.engine.registry import Registry

ANNOTATORS: Registry[Annotator] = Registry(
    "annotator",
    {
        "colmap": "lyra_data.annotation.annotators.colmap:ColmapAnnotator",
        "given": "lyra_data.annotation.annotators.given:GivenAnnotator",
        "vipe": "lyra_data.annotation.annotators.vipe:VipeAnnotator",
    },
)

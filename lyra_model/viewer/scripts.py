"""The viewer's scripts, for the pages that embed them."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from markupsafe import Markup

SCRIPTS = (
    "gaussian_cloud.js",
    "depth_sorter.js",
    "camera_poses.js",
    "seen_region.js",
    "orbit_camera.js",
    "motion.js",
    "gestures.js",
    "splat_renderer.js",
    "viewer.js",
)
"""Definitions only; a page's own script comes after them and starts a Viewer."""


def viewer_scripts() -> Markup:
    """Return the text of all SCRIPTS."""
    return Markup("\n").join(embedded(name) for name in SCRIPTS)


@lru_cache
def embedded(name: str) -> Markup:
    """Return a file of this package as it is, ready to stand in a page."""
    return Markup(resources.files("lyra_model.viewer").joinpath(name).read_text("utf-8"))

"""Measure under which angles pairs of pictures see their common features, where no model was found.

Only the solver's process may import this: it loads pycolmap.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pycolmap

MIDDLE_FOCAL_LENGTH = 0.85
"""Taken for all, in units of the picture's longer side; angles change little with it."""

LEAST_COMMON_FEATURES = 50
"""Fewer may agree by chance; a model starts from two pictures with as many."""


def widest_pair_angle(database: Path, image_ids: Sequence[int]) -> float | None:
    """Return the widest median angle, in degrees, under which two pictures see what both show; None
    where no two have enough features in common."""
    angles = []
    with pycolmap.Database.open(database) as opened:
        camera = opened.read_camera(opened.read_image(image_ids[0]).camera_id)
        longer = max(camera.width, camera.height)
        camera.params = [MIDDLE_FOCAL_LENGTH * longer, camera.width / 2, camera.height / 2]
        for one, other in itertools.combinations(image_ids, 2):
            if not opened.exists_two_view_geometry(one, other):
                continue
            pair = opened.read_two_view_geometry(one, other)
            if len(pair.inlier_matches) < LEAST_COMMON_FEATURES:
                continue
            here, there = (
                opened.read_keypoints(each)[:, :2].astype(np.float64) for each in (one, other)
            )
            if pycolmap.estimate_two_view_geometry_pose(camera, here, camera, there, pair):
                angles.append(max(0.0, float(np.degrees(pair.tri_angle))))
    return max(angles, default=None)

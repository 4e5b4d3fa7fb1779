"""Mapping keyframes from several focal lengths, and keeping the model that explains them best.

Frames of nearly flat ground fit two structures: the true one, and one with near and far exchanged
and another focal length. Started from a wrong focal length the mapper may settle in the second
without noticing. So the keyframes are mapped once from each of a few focal lengths, which stay
fixed until the end; then everything is adjusted together, and the least reprojection error tells.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pycolmap

from lyra_data.annotation.structure_from_motion.request import (
    DATABASE_FILE,
    PICTURES_FOLDER,
    SolveRequest,
    picture_name,
)

FOCAL_LENGTHS = (0.55, 0.7, 0.85, 1.05, 1.3)
"""Tried, in units of the picture's longer side: 84 to 42 degrees of view."""

LEAST_ANGLES = (8.0, 3.0)
"""Degrees between the two frames that a model starts from: the first is tried first."""

LEAST_MODEL = 3
"""Frames of the smallest model that is worth continuing."""

NEARLY_ALL = 0.9
"""A model counts if it has this share of the frames of the largest."""


def best_model(
    folder: Path, request: SolveRequest, num_pictures: int
) -> tuple[pycolmap.Reconstruction | None, int]:
    """Return the model of the keyframes with the least error, and how many separate models it came
    with; None and 0 where no focal length gave any."""
    keyframes = [picture_name(frame) for frame in request.keyframes_of(num_pictures)]
    tried = FOCAL_LENGTHS if request.focal_length is None else (request.focal_length,)
    for least_angle in LEAST_ANGLES:
        solved = [_models(folder, request, keyframes, focal, least_angle) for focal in tried]
        solved = [models for models in solved if models]
        if solved:
            most = max(models[0].num_reg_images() for models in solved)
            large = [each for each in solved if each[0].num_reg_images() >= NEARLY_ALL * most]
            best = min(large, key=lambda each: each[0].compute_mean_reprojection_error())
            return best[0], len(best)
    return None, 0


def _models(
    folder: Path, request: SolveRequest, keyframes: list[str], focal: float, least_angle: float
) -> list[pycolmap.Reconstruction]:
    """Return models from one focal length, the largest first, adjusted."""
    _set_focal_length(folder / DATABASE_FILE, focal)
    pycolmap.set_random_seed(request.seed)
    models = folder / "models"
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir()
    solved = _map_incrementally(folder, models, request, keyframes, least_angle)
    ordered = sorted(solved.values(), key=lambda model: model.num_reg_images(), reverse=True)
    ordered = [model for model in ordered if model.num_points3D() > 0]
    if ordered:
        adjustment = pycolmap.BundleAdjustmentOptions()
        adjustment.refine_focal_length = request.focal_length is None
        adjustment.print_summary = False
        adjustment.ceres.solver_options.num_threads = 1
        pycolmap.bundle_adjustment(ordered[0], adjustment)
        ordered[0].update_point_3d_errors()
    return ordered


def _map_incrementally(
    folder: Path, models: Path, request: SolveRequest, keyframes: list[str], least_angle: float
) -> dict[int, pycolmap.Reconstruction]:
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads, options.random_seed = 1, request.seed
    options.min_model_size, options.image_names = LEAST_MODEL, keyframes
    options.extract_colors = False
    options.ba_refine_focal_length = False
    options.mapper.abs_pose_refine_focal_length = False
    # Everything is adjusted once more at the end, so less often on the way
    options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.6
    options.ba_local_max_refinements = options.ba_global_max_refinements = 1
    options.mapper.init_min_tri_angle = least_angle
    options.mapper.init_min_num_inliers = 50
    pictures = folder / PICTURES_FOLDER
    return pycolmap.incremental_mapping(folder / DATABASE_FILE, pictures, models, options=options)


def _set_focal_length(database: Path, focal: float) -> None:
    with pycolmap.Database.open(database) as opened:
        for camera in opened.read_all_cameras():
            longer = max(camera.width, camera.height)
            camera.params = [focal * longer, camera.width / 2, camera.height / 2]
            camera.has_prior_focal_length = True
            opened.update_camera(camera)

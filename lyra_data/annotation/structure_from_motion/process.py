"""The solver's process: `python -m ...structure_from_motion.process FOLDER PARENT`,
where PARENT is the id of the process that starts it.

It stands apart because pycolmap brings its own zlib: loaded first, it made Pillow crash or hang on
a PNG file. A failed check in its C++ code would end the process, too. Nothing here may import
Pillow. All has one thread, so that the same frames give the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pycolmap

from lyra_data.annotation.structure_from_motion.focal_search import best_model
from lyra_data.annotation.structure_from_motion.late_poses import pose_remaining
from lyra_data.annotation.structure_from_motion.pair_angles import widest_pair_angle
from lyra_data.annotation.structure_from_motion.request import (
    DATABASE_FILE,
    GIVEN_CAMERAS_FILE,
    PICTURES_FOLDER,
    SCENE_FILE,
    SolveAnswer,
    SolveRequest,
    picture_name,
)
from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene
from lyra_data.engine.child_processes import end_with_parent

LEAST_FEATURES = 50
"""Features that half of the pictures need: fewer may be noise."""

SMALL_PIXELS = 200_000
"""Pictures of fewer pixels are doubled before features are sought."""

NUM_THREADS = 1
"""Threads of the solver. With two, a test of equal bytes failed (ADR 0017)."""


def main(folder: Path, parent: int) -> None:
    """Solve what the folder asks for, and leave an answer there; end with process `parent`."""
    end_with_parent(parent)
    request = SolveRequest.load(folder)
    pycolmap.set_random_seed(request.seed)
    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.ERROR)
    num_pictures = len(list((folder / PICTURES_FOLDER).iterdir()))
    names = [picture_name(frame) for frame in range(num_pictures)]
    _find_features(folder, request)
    with pycolmap.Database.open(folder / DATABASE_FILE) as database:
        images = {image.name: image.image_id for image in database.read_all_images()}
        counts = [database.num_keypoints_for_image(images[name]) for name in names]
    poor = [frame for frame, count in enumerate(counts) if count < LEAST_FEATURES]
    if 2 * len(poor) > len(counts):
        return SolveAnswer("few_features", poor, counts, 0).save(folder)
    _match(folder, request)
    if request.has_cameras:
        model, num_models = _triangulate(folder, images), 1
    else:
        model, num_models = best_model(folder, request, num_pictures)
    if model is None or model.num_points3D() == 0:
        angle = None
        if not request.has_cameras:
            keyframes = [images[names[frame]] for frame in request.keyframes_of(num_pictures)]
            angle = widest_pair_angle(folder / DATABASE_FILE, keyframes)
        return SolveAnswer("no_model", [], counts, num_models, angle).save(folder)
    scene, unposed = pose_remaining(
        model, folder / DATABASE_FILE, [images[name] for name in names], request.seed
    )
    if unposed:
        return SolveAnswer("unposed", unposed, counts, num_models).save(folder)
    assert isinstance(scene, SparseScene)
    scene.save(folder / SCENE_FILE)
    return SolveAnswer("", [], counts, num_models).save(folder)


def _find_features(folder: Path, request: SolveRequest) -> None:
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.use_gpu, extraction.num_threads = False, NUM_THREADS
    extraction.sift.max_num_features = request.num_features
    extraction.sift.first_octave = -1 if _is_small(folder / PICTURES_FOLDER) else 0
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "PINHOLE" if request.has_cameras else "SIMPLE_PINHOLE"
    mode = pycolmap.CameraMode.PER_IMAGE if request.has_cameras else pycolmap.CameraMode.SINGLE
    database = folder / DATABASE_FILE
    pycolmap.extract_features(
        database,
        folder / PICTURES_FOLDER,
        camera_mode=mode,
        reader_options=reader,
        extraction_options=extraction,
    )
    if request.has_cameras:
        with pycolmap.Database.open(database) as opened:
            given = np.load(folder / GIVEN_CAMERAS_FILE)["intrinsics"]
            for image in opened.read_all_images():
                camera = opened.read_camera(image.camera_id)
                camera.params = given[int(image.name.split(".")[0])]
                camera.has_prior_focal_length = True
                opened.update_camera(camera)


def _is_small(pictures: Path) -> bool:
    """Return whether features of the doubled pictures are needed: small pictures have too few
    without, large ones have enough, and doubling them costs four times as much (ADR 0017)."""
    bitmap = pycolmap.Bitmap.read(min(pictures.iterdir()), as_rgb=False)
    assert bitmap is not None
    return bitmap.width * bitmap.height < SMALL_PIXELS


def _match(folder: Path, request: SolveRequest) -> None:
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu, matching.num_threads = False, NUM_THREADS
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap, pairing.quadratic_overlap = request.overlap, True
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = request.seed
    pycolmap.match_sequential(
        folder / DATABASE_FILE,
        matching_options=matching,
        pairing_options=pairing,
        verification_options=verification,
    )


def _triangulate(folder: Path, images: dict[str, int]) -> pycolmap.Reconstruction:
    """Triangulate points of given poses, which stay as they are."""
    model = pycolmap.Reconstruction()
    given = np.load(folder / GIVEN_CAMERAS_FILE)["world_to_camera"]
    with pycolmap.Database.open(folder / DATABASE_FILE) as database:
        for name, image_id in sorted(images.items()):
            image = database.read_image(image_id)
            if not model.exists_camera(image.camera_id):
                model.add_camera_with_trivial_rig(database.read_camera(image.camera_id))
            posed = pycolmap.Image(name=name, camera_id=image.camera_id, image_id=image_id)
            pose = pycolmap.Rigid3d(given[int(name.split(".")[0])][:3])
            model.add_image_with_trivial_frame(posed, pose)
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = 1
    options.triangulation.min_angle = 1.0
    points = folder / "points"
    points.mkdir()
    return pycolmap.triangulate_points(
        model,
        folder / DATABASE_FILE,
        folder / PICTURES_FOLDER,
        points,
        options=options,
        refine_intrinsics=False,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

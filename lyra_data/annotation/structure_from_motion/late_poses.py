"""Frames that the mapper left out are posed one by one from their matches with points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap

from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene

LEAST_MATCHES = 20
"""Points that a late frame has to agree with, inliers of its pose."""

LARGEST_ERROR_PIXELS = 3.0


def pose_remaining(
    model: pycolmap.Reconstruction, database: Path, image_ids: list[int], seed: int
) -> tuple[SparseScene | None, list[int]]:
    """Return the model as a SparseScene, and the frames that could not be posed; no scene if there
    are.

    Args:
        image_ids: of the frames, in order.
    """
    rows = {point_id: row for row, point_id in enumerate(sorted(model.points3D))}
    points = np.array([model.points3D[point_id].xyz for point_id in rows]).reshape(-1, 3)
    poses: dict[int, np.ndarray] = {}
    cameras: dict[int, pycolmap.Camera] = {}
    seen: dict[int, dict[int, int]] = {}
    keypoints: dict[int, np.ndarray] = {}
    with pycolmap.Database.open(database) as opened:
        shared = model.cameras[min(model.cameras)]
        by_mapper = []
        for frame, image_id in enumerate(image_ids):
            keypoints[frame] = opened.read_keypoints(image_id)[:, :2].astype(np.float64)
            posed = model.exists_image(image_id) and model.image(image_id).has_pose
            by_mapper.append(posed)
            cameras[frame] = shared
            if posed:
                image = model.image(image_id)
                cameras[frame] = model.cameras[image.camera_id]
                poses[frame] = image.cam_from_world().matrix()
                seen[frame] = {
                    index: rows[image.points2D[index].point3D_id]
                    for index in image.get_observation_point2D_idxs()
                }
        waiting = [frame for frame in range(len(image_ids)) if frame not in poses]
        is_progressing = True
        while waiting and is_progressing:
            is_progressing = False
            # Those next to posed frames first: they have the most points in common
            waiting.sort(key=lambda frame: (min(abs(frame - other) for other in poses), frame))
            for frame in list(waiting):
                matches = _matched_points(opened, image_ids, frame, seen)
                estimate = _pose(matches, keypoints[frame], points, cameras[frame], seed)
                if estimate is not None:
                    poses[frame], seen[frame] = estimate
                    waiting.remove(frame)
                    is_progressing = True
    if waiting:
        return None, sorted(waiting)
    return _scene(poses, cameras, seen, keypoints, points, by_mapper), []


def _matched_points(
    database: pycolmap.Database,
    image_ids: list[int],
    frame: int,
    seen: dict[int, dict[int, int]],
) -> dict[int, int]:
    """Match features of the frame with points, through verified matches with posed frames."""
    matched: dict[int, int] = {}
    for other in sorted(seen, key=lambda each: (abs(each - frame), each)):
        if not database.exists_two_view_geometry(image_ids[frame], image_ids[other]):
            continue
        pair = database.read_two_view_geometry(image_ids[frame], image_ids[other])
        for here, there in np.asarray(pair.inlier_matches).reshape(-1, 2):
            if int(there) in seen[other]:
                matched.setdefault(int(here), seen[other][int(there)])
    return matched


def _pose(
    matches: dict[int, int],
    keypoints: np.ndarray,
    points: np.ndarray,
    camera: pycolmap.Camera,
    seed: int,
) -> tuple[np.ndarray, dict[int, int]] | None:
    if len(matches) < LEAST_MATCHES:
        return None
    features = sorted(matches)
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error = LARGEST_ERROR_PIXELS
    options.ransac.random_seed = seed
    estimate = pycolmap.estimate_and_refine_absolute_pose(
        keypoints[features], points[[matches[each] for each in features]], camera, options
    )
    if estimate is None or estimate["num_inliers"] < LEAST_MATCHES:
        return None
    kept = [each for each, inlier in zip(features, estimate["inlier_mask"], strict=True) if inlier]
    return estimate["cam_from_world"].matrix(), {each: matches[each] for each in kept}


def _scene(
    poses: dict[int, np.ndarray],
    cameras: dict[int, pycolmap.Camera],
    seen: dict[int, dict[int, int]],
    keypoints: dict[int, np.ndarray],
    points: np.ndarray,
    by_mapper: list[bool],
) -> SparseScene:
    num_frames = len(poses)
    world_to_camera = np.tile(np.eye(4), (num_frames, 1, 1))
    intrinsics = np.empty((num_frames, 4))
    frames, observed, errors = [], [], []
    for frame in range(num_frames):
        world_to_camera[frame, :3] = poses[frame]
        camera = cameras[frame]
        fx, fy = camera.focal_length_x, camera.focal_length_y
        cx, cy = camera.principal_point_x, camera.principal_point_y
        intrinsics[frame] = fx, fy, cx, cy
        features = sorted(seen[frame])
        numbers = [seen[frame][feature] for feature in features]
        local = points[numbers].reshape(-1, 3) @ poses[frame][:, :3].T + poses[frame][:, 3]
        at = np.stack([local[:, 0] / local[:, 2] * fx + cx, local[:, 1] / local[:, 2] * fy + cy], 1)
        errors.append(np.linalg.norm(at - keypoints[frame][features].reshape(-1, 2), axis=1))
        frames.append(np.full(len(features), frame))
        observed.append(np.array(numbers, dtype=np.int64))
    return SparseScene(
        world_to_camera=world_to_camera,
        intrinsics=intrinsics,
        points=points,
        observed_frame=np.concatenate(frames).astype(np.int32),
        observed_point=np.concatenate(observed).astype(np.int32),
        error_pixels=np.concatenate(errors),
        by_mapper=np.array(by_mapper),
    )

"""The cameras of a video through a scene: a built-in path by its name, or a file of the user's."""

from __future__ import annotations

from pathlib import Path

from lyra_data.camera_paths.built_in import BUILT_IN_PATHS, built_in_path, require_centre_depth
from lyra_data.camera_paths.laying import Anchor, Layout, PathLens, Scale, Scene, lay_path
from lyra_data.camera_paths.poses import PathPoses
from lyra_data.camera_paths.reading import read_camera_path
from lyra_data.camera_paths.splines import Sampling
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras

MOST_FRAMES = 100_000


def render_path(
    kind_or_file: str | Path,
    source_camera: Cameras,
    *,
    centre_depth: float,
    num_frames: int | None,
    fps: float,
    amplitude: float | None = None,
    scale: Scale = "metres",
    is_metric: bool = True,
    anchor: Anchor = "first_camera",
    sampling: Sampling | None = None,
    lens: PathLens | None = None,
    source_poses: Cameras | None = None,
) -> Cameras:
    """Return the cameras to render a video along, of the source's picture size.

    Args:
        kind_or_file: "orbit", "arc" or "dolly", or a file in any format of `read_camera_path`; a
            file of such a name is given as ./orbit.
        source_camera: one camera, in the world of the scene that will be rendered.
        centre_depth: z of what it looks at.
        num_frames: None: as many as a file's times last at `fps`; it has to have times, then.
        fps: frames per second of the video.
        amplitude: of a built-in path: degrees (orbit, arc) or a fraction of the centre depth
            (dolly); None: its usual one.
        scale, anchor: as in `Layout`; of a file.
        is_metric: True where the scene's unit is a metre.
        sampling: None: by the file's own times where it has some, else uniform.
        lens: None: the file's where it has one, else the source's.
        source_poses: for scale "fitted": the source's cameras, one for every pose of the file.

    Raises:
        InputError: there is no such path, it cannot be read, or it does not fit the scene.
    """
    if isinstance(kind_or_file, str) and kind_or_file in BUILT_IN_PATHS:
        if num_frames is None:
            raise InputError(
                f"how many frames has {kind_or_file!r}?", fix="give the number of frames"
            )
        return built_in_path(
            kind_or_file,
            source_camera,
            centre_depth=centre_depth,
            num_frames=num_frames,
            amplitude=amplitude,
        )
    path = Path(kind_or_file)
    if amplitude is not None:
        raise InputError(
            f"an amplitude of {amplitude:g} for a path of a file",
            where=str(path),
            fix=f"leave it out: it belongs to {', '.join(BUILT_IN_PATHS)}",
        )
    if not path.exists() and path.parent == Path() and not path.suffix:
        raise InputError(
            f"there is no camera path {str(path)!r}",
            where="--render-path, reconstruct.video.path",
            fix=f"give one of {', '.join(BUILT_IN_PATHS)}, or a file that exists",
        )
    require_centre_depth(centre_depth)
    poses = read_camera_path(path)
    has_times = poses.times is not None
    layout = Layout(
        scale=scale,
        anchor=anchor,
        sampling=sampling or ("times" if has_times else "uniform"),
        lens=lens or ("source" if poses.lens is None else "file"),
        where=str(path),
    )
    if scale == "fitted" and source_poses is None:
        raise InputError(
            "scale fitted, but the source's own poses are not known",
            where=str(path),
            fix="give scale metres or centre_depth",
        )
    return lay_path(
        poses,
        layout,
        Scene(source_camera, centre_depth, is_metric),
        num_frames=num_frames or _frames_of(poses, fps, path),
        fitted_to=None if source_poses is None else (poses, source_poses),
    )


def _frames_of(poses: PathPoses, fps: float, path: Path) -> int:
    """Return how many frames the times of a path take."""
    if poses.times is None:
        raise InputError(
            "this path has no times, so it does not say how long it lasts",
            where=str(path),
            fix="give the number of frames",
        )
    count = round(float(poses.times[-1] - poses.times[0]) * fps) + 1
    if count > MOST_FRAMES:
        raise InputError(
            f"at {fps:g} frames per second this path has {count:,} frames",
            where=str(path),
            fix=f"give the number of frames, at most {MOST_FRAMES:,}",
        )
    return count

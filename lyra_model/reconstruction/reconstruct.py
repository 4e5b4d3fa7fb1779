"""Reconstruct one scene: its Gaussians, then the files that people and other programs open."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lyra_data.camera_paths.built_in import BUILT_IN_PATHS
from lyra_data.camera_paths.rendering import render_path
from lyra_data.camera_paths.writing import write_cameras_json
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import engine_version
from lyra_data.generation.trajectories import median_centre_depth
from lyra_data.media.video.writing import write_video
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.export.ply import write_ply
from lyra_model.metrics.psnr import psnr
from lyra_model.reconstruction.methods import Reconstructor
from lyra_model.reconstruction.moments import Moment, make_moments
from lyra_model.reconstruction.quality import HOLE_ALPHA, Reach, amplitude_without_holes, reach
from lyra_model.reconstruction.scene_source import SceneSource
from lyra_model.rendering import render
from lyra_model.rendering.videos import Shot, film, shots_of
from lyra_model.viewer.scene_data import ViewerPath
from lyra_model.viewer.scene_page import ScenePage, write_scene_page
from lyra_model.viewer.seen_region import seen_region

SCENE_PLY, SCENE_PAGE, CAMERAS, REPORT = "scene.ply", "scene.html", "cameras.json", "report.json"
DEPTH_VIDEO = "depth.mp4"

FORMAT = 1
"""The version of report.json."""

MADE_BY = ("teacher", "guardrail", "codec", "prompt", "extension", "converted_from")
"""The beginnings of the facts of a view's provenance that report.json repeats, with its source."""


def reconstruct_scene(
    reconstructor: Reconstructor,
    scene: SceneSource,
    folder: Path,
    *,
    scratch: Path,
    key: str,
    progress: Progress,
) -> dict[str, Any]:
    """Write everything about a scene into an empty folder, and return what report.json holds.

    scene.ply (of the middle moment, where it moves, the others beside it in moments/), scene.html,
    video.mp4 and others, depth.mp4, cameras.json and report.json.

    Args:
        scratch: folder of the whole pipeline's unfinished work.
        key: names everything that shapes the scene's Gaussians.

    Raises:
        InputError: as `Reconstructor.make`.
        StorageError: the disk refuses.
    """
    began = time.monotonic()
    scene = _as_read(reconstructor, scene)
    moments = make_moments(reconstructor, scene, scratch, key, progress)
    middle = moments[len(moments) // 2]
    scene = _with_centre(reconstructor, scene, middle)
    write_ply(middle.gaussians, folder / SCENE_PLY)
    if scene.moves:
        (folder / "moments").mkdir()
        for moment in moments:
            write_ply(moment.gaussians, folder / "moments" / f"{moment.index:05d}.ply")

    reached = reach(
        middle.gaussians,
        scene.filmed[[middle.index]],
        scene.centre_depth,
        reconstructor.rendering,
    )
    shots = _shots(reconstructor, scene, moments, reached)
    _write_videos(reconstructor, shots, moments, folder, progress)
    write_cameras_json(shots[0].cameras, folder / CAMERAS, fps=reconstructor.params.video.fps)
    report = _report(reconstructor, scene, moments, reached)
    write_scene_page(folder / SCENE_PAGE, _page(reconstructor, scene, moments, shots))
    report["run"] = {
        "seconds": round(time.monotonic() - began, 2),
        "seconds_of_moments": [moment.facts["seconds"] for moment in moments],
        "peak_memory_bytes": peak_memory_bytes(),
    }
    (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _as_read(reconstructor: Reconstructor, scene: SceneSource) -> SceneSource:
    """Return the scene as one that moves where its decoder reads moments and no clip says
    otherwise: data in Lyra's layout do not say it."""
    decoder = reconstructor.decoder
    reads_moments = decoder is not None and decoder.params.dynamic
    return replace(scene, moves=True) if reads_moments and scene.clip is None else scene


def _with_centre(reconstructor: Reconstructor, scene: SceneSource, middle: Moment) -> SceneSource:
    """Return the scene with the depth of its centre as its Gaussians have it, where the views have
    no depth: clips in Lyra's layout may lack it."""
    if bool(scene.views[0].depth_valid[0].any()):
        return scene
    camera = scene.source_camera.to(reconstructor.device)
    made = render(middle.gaussians, camera, reconstructor.rendering)
    seen = (made.alpha[0] >= HOLE_ALPHA).cpu()
    return replace(scene, rendered_centre_depth=median_centre_depth(made.depth[0].cpu(), seen))


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held at a time, that of a GPU not among it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _shots(
    reconstructor: Reconstructor,
    scene: SceneSource,
    moments: Sequence[Moment],
    reached: Mapping[str, Reach],
) -> list[Shot]:
    video = reconstructor.params.video
    amplitude = video.amplitude
    if amplitude is None and video.path in BUILT_IN_PATHS:
        usual = BUILT_IN_PATHS[video.path].usual
        amplitude = amplitude_without_holes(video.path, reached, usual)
    path = render_path(
        reconstructor.video_path,
        scene.source_camera,
        centre_depth=scene.centre_depth,
        num_frames=video.num_frames,
        fps=video.fps,
        amplitude=amplitude,
        scale=video.scale,
        is_metric=scene.views[0].depth_scale == "metric",
    )
    return shots_of(path, scene.filmed, [moment.index for moment in moments])


def _write_videos(
    reconstructor: Reconstructor,
    shots: Sequence[Shot],
    moments: Sequence[Moment],
    folder: Path,
    progress: Progress,
) -> None:
    fps = reconstructor.params.video.fps
    gaussians = [moment.gaussians for moment in moments]
    progress.start("Rendering videos", sum(len(shot.moments) for shot in shots), "frames")
    for shot in shots:
        made = film(shot, gaussians, reconstructor.rendering, progress)
        write_video(made.frames, folder / f"{shot.name}.mp4", fps=fps, lossless=False)
        if shot is shots[0]:
            write_video(made.depth_pictures, folder / DEPTH_VIDEO, fps=fps, lossless=False)
    progress.finish()


def _report(
    reconstructor: Reconstructor,
    scene: SceneSource,
    moments: Sequence[Moment],
    reached: Mapping[str, Reach],
) -> dict[str, Any]:
    """Return what is known of a reconstruction, as plain JSON values."""
    first, params, decoder = scene.views[0], reconstructor.params, reconstructor.decoder
    middle = moments[len(moments) // 2]
    return {
        "format": FORMAT,
        "engine_version": engine_version(),
        "scene_id": scene.scene_id,
        "method": params.method,
        **({"decoder_sha256": decoder.weights_sha256} if decoder is not None else {}),
        "moves": scene.moves,
        "gaussians": len(middle.gaussians),
        "views": {
            "trajectories": [
                view.trajectory + (" reversed" if view.motion_reversed else "")
                for view in scene.views
            ],
            "frames": scene.num_frames,
            "height": first.cameras.height,
            "width": first.cameras.width,
            "depth_scale": first.depth_scale,
        },
        "source": {
            name.removeprefix("source_"): value
            for name, value in sorted(first.provenance.items())
            if name.startswith("source_")
        },
        "made_by": facts_of_making(first.provenance),
        "frames_read": _pooled([moment.facts["frames_read"] for moment in moments]),
        "held_out": _pooled([moment.facts["held_out"] for moment in moments]),
        "real_photos": _real_photos(reconstructor, scene, moments),
        "reach": {name: asdict(one) for name, one in reached.items()},
        "moments": [
            {name: value for name, value in moment.facts.items() if name != "seconds"}
            for moment in moments
        ],
        "settings": {
            "reconstruct": params.model_dump(mode="json"),
            "rendering": reconstructor.rendering.model_dump(mode="json"),
            "seed": reconstructor.seed,
            "device": reconstructor.device.type,
        },
    }


def facts_of_making(provenance: Mapping[str, str]) -> dict[str, str]:
    """Return those facts of a view's provenance that say which models made it, and how watched."""
    return {name: value for name, value in sorted(provenance.items()) if name.startswith(MADE_BY)}


def _pooled(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean PSNR over moments, with the numbers of frames behind it."""
    values = [one["psnr_db"] for one in facts if one["psnr_db"] is not None]
    return {
        "psnr_db": sum(values) / len(values) if values else None,
        "frames": sum(one["frames"] for one in facts),
        "measured": sum(one["measured"] for one in facts),
    }


def _real_photos(
    reconstructor: Reconstructor, scene: SceneSource, moments: Sequence[Moment]
) -> dict[str, Any] | None:
    """Return the PSNR of pictures at the cameras of real photos, which the first moment shows."""
    if not scene.real_photos:
        return None
    photos = []
    for photo in scene.real_photos:
        camera = photo.camera.to(reconstructor.device)
        made = render(moments[0].gaussians, camera, reconstructor.rendering).rgb.cpu()
        value = float(psnr(made, unit_from_bytes(photo.frame[None])).values[0])
        photos.append({"name": photo.name, "psnr_db": value})
    return {"psnr_db": sum(one["psnr_db"] for one in photos) / len(photos), "photos": photos}


def _page(
    reconstructor: Reconstructor,
    scene: SceneSource,
    moments: Sequence[Moment],
    shots: Sequence[Shot],
) -> ScenePage:
    paths = [ViewerPath(Path(reconstructor.params.video.path).stem, shots[0].cameras)]
    if not scene.moves:  # of a moving scene, a view goes through many moments
        paths += [ViewerPath(view.trajectory, view.cameras) for view in scene.views]
    camera = scene.filmed[[moments[len(moments) // 2].index]]
    made = {"fit": "fitted to its views", "unproject": "unprojected", "decoder": "decoded"}
    return ScenePage(
        title=scene.scene_id,
        made_by=f"{made[reconstructor.params.method]} by lyra-data {engine_version()}",
        moments=tuple(moment.gaussians.to("cpu") for moment in moments),
        camera=camera,
        paths=tuple(paths),
        near=reconstructor.rendering.near,
        far=reconstructor.rendering.far,
        unit="m" if scene.views[0].depth_scale == "metric" else "units",
        moments_per_second=_moments_per_second(scene, len(moments)),
        pivot_depth=scene.centre_depth,
        seen=seen_region(
            camera, scene.centre_depth, [scene.filmed, *(view.cameras for view in scene.views)]
        ),
    )


def _moments_per_second(scene: SceneSource, num_moments: int) -> float:
    """Return how many of the moments pass in a second of the source's own time."""
    seconds = (scene.num_frames - 1) / scene.views[0].fps
    return max(1.0, (num_moments - 1) / seconds) if seconds > 0 else 1.0

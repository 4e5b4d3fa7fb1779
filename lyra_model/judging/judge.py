"""Judge: score a method's renders of every scene of a protocol against the ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress, silent
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.judging.figures import Figures, frame_figures
from lyra_model.judging.protocols.protocol import Protocol
from lyra_model.judging.protocols.split_files import SceneFrames, with_frames, without_scenes
from lyra_model.judging.renders import RenderFolder, SceneRenders
from lyra_model.judging.sources import hash_of_pixels, picture_source
from lyra_model.judging.truth.frames import Truth, TruthFrame
from lyra_model.judging.truth.preparing import true_picture
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.rendering.base import RenderingParams

NUM_NAMED = 3
"""Missing scenes that a message names; the others are counted."""


@dataclass(frozen=True)
class JudgedFrame:
    """One target: its figures, and hashes of both pictures as they were compared."""

    figures: Figures
    render_hash: str
    truth_hash: str


@dataclass(frozen=True)
class Judgement:
    """All that was measured.

    Attributes:
        protocol: as it was carried out: with the split that was read, and the scenes left out.
        scenes: frames by name, by scene.
        missing: why each scene that was left out was, by name.
        unused: renders of scenes that the protocol does not have.
        weights: hashes of networks' weights, by metric.
        rendering: settings that Gaussians were rendered with; None where pictures were given.
    """

    protocol: Protocol
    scenes: Mapping[str, Mapping[str, JudgedFrame]]
    missing: Mapping[str, str]
    unused: Sequence[str]
    weights: Mapping[str, str]
    rendering: RenderingParams | None


def judge(
    renders: RenderFolder,
    truth: Truth,
    protocol: Protocol,
    *,
    split: Mapping[str, SceneFrames] | None,
    networks: Mapping[str, tuple[PerceptualNetwork, str]],
    rendering: RenderingParams,
    partial: bool = False,
    progress: Progress = silent,
) -> Judgement:
    """Return the figures of every target of every scene. One frame is in memory at a time.

    Args:
        protocol: with its split (`with_split`).
        split: scenes with their targets; None: all frames of the ground truth are targets.
        networks: of LPIPS with the hashes of their weights, by backbone.
        rendering: for Gaussians.
        partial: leave scenes out that lack renders or truth; else they are an error.

    Raises:
        InputError: scenes are missing; a picture cannot be read, has NaN or another size; Gaussians
            are given where poses are fitted to the targets.
    """
    listed = split if split is not None else dict.fromkeys(truth.scene_names)
    available = set(truth.scene_names)
    missing = {name: "no ground truth" for name in listed if name not in available}
    found: dict[str, SceneRenders] = {}
    targets: dict[str, list[str]] = {}
    for name in (name for name in truth.scene_names if name in listed):
        wanted = _targets(truth, name, listed[name])
        targets[name] = list(wanted)
        scene = renders.find(name, wanted, alone=len(listed) == 1)
        if scene is None:
            missing[name] = "no render"
        elif scene.missing:
            missing[name] = f"{len(scene.missing)} of {len(wanted)} renders are missing"
        else:
            found[name] = scene
    _require_whole(missing, found, len(listed), renders, partial=partial)
    if split is None:
        protocol = with_frames(protocol, {name: targets[name] for name in sorted(targets)})
    _require_given_poses(protocol, found)
    judged = {}
    progress.start("Judging", len(found), "scenes")
    for name, scene in found.items():
        frames = _frames_by_name(truth, name, listed[name])
        judged[name] = _judged_scene(scene, frames, protocol, networks, rendering)
        progress.advance(note=name)
    progress.finish()
    return Judgement(
        without_scenes(protocol, list(missing)),
        {name: judged[name] for name in sorted(judged)},
        dict(sorted(missing.items())),
        renders.other_scenes(list(listed)),
        {f"lpips_{net}": sha256 for net, (_, sha256) in sorted(networks.items())},
        rendering if any(scene.gaussians for scene in found.values()) else None,
    )


def _targets(truth: Truth, name: str, frames: SceneFrames | None) -> dict[str, int]:
    """Return the names of a scene's targets with their numbers."""
    if frames is not None and truth.numbers_frames:
        return {f"{place:06d}": place for place in frames.targets}
    named = truth.scene(name).frames
    places = range(len(named)) if frames is None else frames.targets
    _check_places(places, len(named), name)
    return {named[place].name: place for place in places}


def _frames_by_name(truth: Truth, name: str, frames: SceneFrames | None) -> dict[str, TruthFrame]:
    named = truth.scene(name).frames
    places = range(len(named)) if frames is None else frames.targets
    _check_places(places, len(named), name)
    return {named[place].name: named[place] for place in places}


def _check_places(places: Sequence[int], num_frames: int, name: str) -> None:
    if places and max(places) >= num_frames:
        raise InputError(
            f"the split asks for frame {max(places)} of scene {name}, which has {num_frames}",
            where=name,
            fix="give the dataset that the split was made for",
        )


def _require_whole(
    missing: Mapping[str, str],
    found: Mapping[str, SceneRenders],
    num_listed: int,
    renders: RenderFolder,
    *,
    partial: bool,
) -> None:
    if not missing or (partial and found):
        return
    named = "; ".join(f"{name}: {why}" for name, why in list(missing.items())[:NUM_NAMED])
    more = f"; and {len(missing) - NUM_NAMED} more" if len(missing) > NUM_NAMED else ""
    raise InputError(
        f"{len(missing)} of {num_listed} scenes are missing ({named}{more})",
        where=str(renders.path),
        fix="render all of them, as RENDERS/SCENE/NUMBER.png, or say --partial: its scores are "
        "comparable with those over the same scenes alone"
        if found
        else "give renders as RENDERS/SCENE/NUMBER.png, with the names of scenes as the ground "
        "truth has them",
    )


def _require_given_poses(protocol: Protocol, found: Mapping[str, SceneRenders]) -> None:
    gaussians = [scene.gaussians for scene in found.values() if scene.gaussians]
    if gaussians and protocol.poses.source != "given":
        raise InputError(
            f"Gaussians are rendered along given poses, and protocol {protocol.name} has poses "
            f"{protocol.poses.source} from the targets",
            where=str(gaussians[0]),
            fix="give the method's pictures, or choose a protocol of given poses",
        )


def _judged_scene(
    scene: SceneRenders,
    frames: Mapping[str, TruthFrame],
    protocol: Protocol,
    networks: Mapping[str, tuple[PerceptualNetwork, str]],
    rendering: RenderingParams,
) -> dict[str, JudgedFrame]:
    source = picture_source(scene, protocol.pictures, rendering)
    bare = {net: network for net, (network, _) in networks.items()}
    judged = {}
    for name, frame in frames.items():
        truth = true_picture(frame, protocol.pictures)
        picture = source.picture(name, frame, truth)
        if picture.rgb.shape != truth.levels.shape:
            raise InputError(
                f"the render has {picture.rgb.shape[2]}x{picture.rgb.shape[1]} pixels, the true "
                f"picture {truth.levels.shape[2]}x{truth.levels.shape[1]}",
                where=picture.where,
                fix="render at the size that the protocol compares; nothing is resized here",
            )
        figures = frame_figures(
            picture.rgb,
            unit_from_bytes(truth.levels),
            protocol.metrics,
            bare,
            where=picture.where,
        )
        judged[name] = JudgedFrame(figures, picture.hash, hash_of_pixels(truth.levels))
    return judged

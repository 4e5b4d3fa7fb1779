"""The ViPE annotator: the user's own ViPE finds poses, intrinsics, depth and what moves.

ViPE runs in an environment of its own on a video written without loss from the material's frames,
so that its frame numbers are ours whatever the source was. Its result is read by the reader of
`lyra_data/clips/formats`, with every check, and kept: a scene is never computed twice.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from lyra_data.annotation.annotators.framed import FramedParams, framed_clip, framed_held_out
from lyra_data.annotation.annotators.vipe_command import parse_command, run_vipe, version_of
from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.vipe import read_vipe
from lyra_data.engine.atomic import temporary_folder
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.engine.scratch import ScratchStore
from lyra_data.media.video import write_video
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial

log = logging.getLogger(__name__)

STAGE = "annotate_vipe"
"""The stage of the scratch store that keeps what ViPE made."""

VIDEO_NAME = "clip"
RESULT = "result"

ASSUMED_FPS = 24.0
"""Frames per second of material that says nothing of time; ViPE takes a keyframe mask every two
seconds."""

MAX_COLOUR_DIFFERENCE = 24.0
"""Mean of 0..255 between a frame and ViPE's lossy copy of it; two photos of a place differ more."""


def _command(command: str) -> str:
    parse_command(command)
    return command


class VipeAnnotatorParams(FramedParams):
    """The way ViPE is run, and clips are framed.

    Attributes:
        height, width: working size in pixels, multiples of 16.
        framing: how pictures are brought to that size: "centred" (see framing.py), or "reference"
            for data meant to match the released models.
        fps: frames per second that trajectories around a single image will have.
        command: what starts ViPE: `vipe`, `conda run --no-capture-output -n vipe vipe`, or a
            container's; `{folder}` in it becomes the folder with the video and the result, to be
            mounted (docs/vipe.md).
        pipeline: ViPE's own name of its settings; "lyra" are those of Lyra 1.
    """

    name: Literal["vipe"]
    command: Annotated[str, AfterValidator(_command)]
    pipeline: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")]


class VipeAnnotator:
    """See the module's docstring."""

    Params = VipeAnnotatorParams
    name: ClassVar[str] = "vipe"
    solves: ClassVar[bool] = True

    def __init__(self, params: VipeAnnotatorParams) -> None:
        self.params = params
        self._words = parse_command(params.command)
        self._results: ScratchStore | None = None
        self._version: str | None = None

    def keep_in(self, scratch: Path) -> None:
        """Keep ViPE's results in the pipeline's scratch folder, and take them from there."""
        self._results = ScratchStore(scratch, STAGE)

    @property
    def version(self) -> str:
        """The version of the user's ViPE, asked once; "unknown" where it does not say.

        Raises:
            ParamsError: ViPE cannot be started.
        """
        if self._version is None:
            with temporary_folder() as folder:
                self._version = version_of(self._words, folder)
        return self._version

    @property
    def fingerprint(self) -> str:
        """Names ViPE's version and pipeline. A version that ViPE does not say is "unknown": then
        another release is not noticed, unless `command` tells them apart."""
        return f"vipe-{self.version}-{self.params.pipeline}-{self.params.framing_fingerprint}"

    def annotate(self, material: SourceMaterial) -> Clip:
        """Return ViPE's result at the working size, computed now or kept from before.

        Raises:
            InputError: the material is a single picture, ViPE fails, or its result is incomplete
                or belongs to other frames.
            ParamsError: ViPE cannot be started.
            StorageError: the disk is full, read-only or not permitted.
        """
        if len(material.frames) < 2:
            raise InputError(
                "annotator 'vipe' needs a video, and this is a single picture",
                where=_location_of(material),
                fix="choose the annotator `given`: depth is estimated by annotate.depth",
            )
        result = self._result_of(material)
        provenance = {
            **material.provenance,
            "vipe_version": self.version,
            "vipe_pipeline": self.params.pipeline,
            "vipe_command": self.params.command,
            **{f"vipe_{noun}": fact for noun, fact in result.facts.items()},
        }
        complete = replace(
            material,
            cameras=result.cameras,
            depth=result.depth,
            depth_valid=result.depth_valid,
            depth_scale=result.depth_scale,
            depth_confidence=None,
            dynamic_mask=result.dynamic_mask,
            provenance=provenance,
        )
        return framed_clip(complete, self.params, self.fingerprint)

    def frame_held_out(self, material: SourceMaterial) -> list[HeldOutView]:
        """Return the material's held-out views at the working size, framed as the clip is."""
        return framed_held_out(material, self.params)

    def _result_of(self, material: SourceMaterial) -> ImportedClip:
        """Return ViPE's result, computed now or kept from before; only one that can be read is
        kept."""
        if self._results is None:
            with temporary_folder() as folder:
                self._run(material, folder)
                return _checked(material, folder / RESULT)
        key = self._key(material)
        if (kept := self._results.get(key)) is not None:
            log.info("scene %s: ViPE's result is kept from before, in %s", material.scene_id, kept)
            return _checked(material, kept / RESULT)
        with self._results.put(key) as item:
            self._run(material, item)
            return _checked(material, item / RESULT)

    def _run(self, material: SourceMaterial, folder: Path) -> None:
        """Run ViPE in `folder`, which then holds its result alone."""
        video = folder / f"{VIDEO_NAME}.mp4"
        write_video(material.frames, video, fps=material.fps or ASSUMED_FPS, lossless=True)
        video, result = video.absolute(), (folder / RESULT).absolute()
        ended = run_vipe(
            self._words,
            ["infer", str(video), "-p", self.params.pipeline, "--output", str(result)],
            folder,
            label=f"scene {material.scene_id}: vipe",
        )
        if ended.exit_code != 0:
            last_words = "\n    ".join(ended.last_lines) or "nothing"
            raise InputError(
                f"ViPE failed ({ended.how}); its last words:\n    {last_words}",
                where=_location_of(material),
                fix="mend what it says, or run it by hand on the video and give its result as a "
                "source of kind `vipe`; where GPU memory is short, cut the video or take the "
                "pipeline `no_vda`; `colmap` annotates without ViPE",
            )
        video.unlink()

    def _key(self, material: SourceMaterial) -> str:
        """Return the content key of a result: ViPE's input and settings. The code that reads it is
        not part of it: reading is done anew each time, and hours of computing outlive a change of
        the reader."""
        frames = material.frames.contiguous().numpy()
        return content_key(
            {
                "frames": sha256_of_bytes(frames.tobytes()),
                "shape": list(frames.shape),
                "fps": material.fps or ASSUMED_FPS,
                "pipeline": self.params.pipeline,
                "command": self.params.command,
                "version": self.version,
            }
        )


def _checked(material: SourceMaterial, folder: Path) -> ImportedClip:
    """Return the result, if it is whole and of the material's frames."""
    try:
        result = read_vipe(folder, VIDEO_NAME)
    except InputError as error:
        file = (error.where or "").replace(f"{folder.absolute()}", "").replace(f"{folder}", "")
        raise InputError(
            f"ViPE ended well, but its result cannot be used: {file.lstrip('/')}: {error.what}",
            where=_location_of(material),
            fix="see what ViPE said above; take a pipeline that writes poses and depth (`lyra`)",
        ) from None
    size, expected_size = tuple(result.frames.shape), tuple(material.frames.shape)
    if size != expected_size:
        raise InputError(
            f"ViPE's result has {size[0]} frames of {size[3]}x{size[2]}, and it was given "
            f"{expected_size[0]} of {expected_size[3]}x{expected_size[2]}",
            where=_location_of(material),
            fix="take a pipeline that keeps all frames and their size (`lyra`)",
        )
    for index, (one, other) in enumerate(zip(result.frames, material.frames, strict=True)):
        difference = float((one.float() - other.float()).abs().mean())
        if difference > MAX_COLOUR_DIFFERENCE:
            raise InputError(
                f"frame {index} of ViPE's result shows something else (mean difference "
                f"{difference:.0f} of 255)",
                where=_location_of(material),
                fix="take a pipeline that keeps all frames in their order (`lyra`)",
            )
    return result


def _location_of(material: SourceMaterial) -> str:
    return material.location or f"scene {material.scene_id}"

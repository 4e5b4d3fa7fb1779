"""annotate: sources to clips."""

from __future__ import annotations

from pathlib import Path

from lyra_data.annotation import AnnotateParams, annotate_sources
from lyra_data.progress import Progress, silent
from stages.params import load_section
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = AnnotateParams


def run_annotate(params_file: Path, *, progress: Progress = silent) -> Summary:
    """Annotate every source of params.yaml. See `lyra-data annotate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    annotation = annotate_sources(
        load_section(params_file, "annotate", SECTION),
        root=workspace.root,
        clips=workspace.clips,
        held_out=workspace.held_out,
        progress=progress,
    )
    known = [float(clip.depth_valid.float().mean()) for clip in annotation.clips]
    scenes = [
        {
            "scene_id": clip.scene_id,
            "num_frames": len(clip),
            "height": clip.cameras.height,
            "width": clip.cameras.width,
            "depth_known_fraction": share,
        }
        for clip, share in zip(annotation.clips, known, strict=True)
    ]
    return Summary(
        "annotate",
        f"{len(scenes)} scenes, depth known for {min(known):.0%} of pixels or more, "
        f"{len(annotation.failures)} failed",
        {"scenes": scenes, "failures": [failure.as_json() for failure in annotation.failures]},
    )

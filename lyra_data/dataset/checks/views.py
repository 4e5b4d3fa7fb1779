"""Check one view by the rules for clips, and its frames and masks by what its row states."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.clips.checks.clip_check import BEFORE_REPROJECTION
from lyra_data.clips.checks.depth_maps import check_depth
from lyra_data.clips.checks.intrinsics import check_intrinsics
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.parts import ClipParts
from lyra_data.clips.checks.pictures import check_pictures
from lyra_data.clips.checks.poses import check_poses
from lyra_data.clips.checks.reprojection import check_reprojection
from lyra_data.clips.checks.structure import check_structure
from lyra_data.dataset.checks import bounds
from lyra_data.dataset.checks.locations import (
    DatasetFinding,
    clip_finding_of_view,
    view_finding,
)
from lyra_data.dataset.checks.rules import VIEW_RULES
from lyra_data.packing.channel_statistics import PictureStatistics
from lyra_data.views.fields import Row

PIXELS = ("frames", "depth", "depth_valid", "filled")
"""Fields that `check_view` needs."""


def check_cameras(row: Row) -> list[DatasetFinding]:
    """Check poses and intrinsics alone; jumps are measured by depth, which is not read here."""
    frames = row["num_frames"]
    nothing = torch.zeros(frames, 1, 1)
    parts = _parts(
        row, tuple(torch.zeros(frames, 3, 1, 1, dtype=torch.uint8)), nothing, nothing > 0
    )
    return _by_view_rules(row, [*check_poses(parts), *check_intrinsics(parts)])


def check_view(row: Row, values: dict[str, Any]) -> list[DatasetFinding]:
    """Check everything that a view's own frames, depth and cameras show.

    Args:
        values: the decoded PIXELS.
    """
    parts = _parts(row, tuple(values["frames"]), values["depth"], values["depth_valid"])
    clip_findings = check_structure(parts)
    if not clip_findings:
        clip_findings += [*check_poses(parts), *check_intrinsics(parts)]
        clip_findings += [*check_depth(parts), *check_pictures(parts)]
        if not any(finding.rule in BEFORE_REPROJECTION for finding in clip_findings):
            clip_findings += check_reprojection(parts)
    return [
        *_by_view_rules(row, clip_findings),
        *_check_colours(row, values["frames"]),
        *_check_shares(row, values),
    ]


def _parts(
    row: Row,
    frames: tuple[UInt8[Tensor, "3 height width"], ...],
    depth: Tensor,
    depth_valid: Tensor,
) -> ClipParts:
    poses = torch.tensor(row["camera_to_world"], dtype=torch.float32)
    return ClipParts(
        scene_id=row["scene_id"],
        num_stated=row["num_frames"],
        frames=frames,
        camera_to_world=poses.reshape(-1, 4, 4),
        intrinsics=torch.tensor(row["intrinsics"], dtype=torch.float32).reshape(-1, 4),
        height=row["height"],
        width=row["width"],
        depth=depth,
        depth_valid=depth_valid,
        depth_scale=row["depth_scale"],
        fps=row["fps"],
        dynamic_mask=None,
        depth_confidence=None,
    )


def _by_view_rules(row: Row, findings: list[ClipFinding]) -> list[DatasetFinding]:
    """Return those findings whose rule views are held to, as findings of the dataset.

    A view's camera path may come by the same place twice, a clip's may not.
    """
    return [
        clip_finding_of_view(finding, row["scene_id"], row["view_index"])
        for finding in findings
        if finding.rule in VIEW_RULES
    ]


def _check_colours(row: Row, frames: Tensor) -> list[DatasetFinding]:
    colours = PictureStatistics()
    for frame in frames:
        colours.add(frame.permute(1, 2, 0).numpy())
    measured = np.array([(channel.mean, channel.std) for channel in colours.statistics()])
    stated = np.array([row["rgb_mean"], row["rgb_std"]]).T
    if stated.shape == measured.shape and np.abs(measured - stated).max() <= bounds.RGB_STATISTICS:
        return []
    means, stated_means = (
        " ".join(f"{m:.1f}" for m in array[:, 0]) for array in (measured, stated)
    )
    deviations, stds = (" ".join(f"{s:.1f}" for s in array[:, 1]) for array in (measured, stated))
    message = f"mean {means}, deviation {deviations}; the row states {stated_means} and {stds}"
    return [
        view_finding("rgb-statistics", message, scene=row["scene_id"], view_index=row["view_index"])
    ]


def _check_shares(row: Row, values: dict[str, Any]) -> list[DatasetFinding]:
    measured = {
        "known_fraction": 1.0 - float(values["filled"].double().mean()),
        "depth_valid_fraction": float(values["depth_valid"].double().mean()),
    }
    return [
        view_finding(
            "shares",
            f"{name} is {row[name]:.6g}, its mask says {share:.6g}",
            scene=row["scene_id"],
            view_index=row["view_index"],
            value=share,
        )
        for name, share in measured.items()
        if abs(row[name] - share) > bounds.SHARES
    ]

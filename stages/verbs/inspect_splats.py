"""inspect of a PLY file: what is in it, and a picture of it from three cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.summary import counted
from stages.verbs.inspection_output import require_writable

if TYPE_CHECKING:
    import numpy as np

    from lyra_model.export.ply import SplatFile
    from lyra_model.rendering.framing import Framing
    from stages.summary import Summary

NUM_CAMERAS = 3
PICTURE_SIDE = 512  # pixels, the longer side of each of the three
BACKGROUND = (0.055, 0.062, 0.075)


def is_splat_file(path: str | Path) -> bool:
    """Return True where a path names a PLY file, by its ending."""
    return "://" not in str(path) and Path(path).suffix.lower() == ".ply"


def inspect_splats(path: Path, output: Path | None, overwrite: bool) -> Summary:
    """Write the picture of a PLY file and return what is in it.

    Raises:
        InputError: no PLY of Gaussians, or nothing in it; the picture may not be written.
    """
    from lyra_data.clips.pictures.sheet import write_page
    from lyra_data.engine.errors import InputError
    from lyra_model.export.ply import read_splat_file
    from lyra_model.rendering.framing import frame_scene
    from stages.summary import Summary

    target = output or Path(f"{path.resolve().stem}.png")
    if target.suffix.lower() == ".mp4":
        raise InputError(
            "a scene of Gaussians has no frames to show one after the other",
            where="--output",
            fix="name a file that ends in .png",
        )
    require_writable(target, overwrite)
    file = read_splat_file(path)
    require_some(file, path)
    framing = frame_scene(
        file.gaussians, num=NUM_CAMERAS, up=file.conventions.up, longest_side=PICTURE_SIDE
    )
    write_page(_side_by_side(file, framing), target)
    facts = facts_of(file, framing) | {"path": str(path), "picture": str(target)}
    headline = f"{path}: {counted(len(file.gaussians), 'Gaussian')}; wrote {target}"
    return Summary("inspect", headline, facts, tuple(_lines(facts)))


def require_some(file: SplatFile, path: Path) -> None:
    """Refuse a file without Gaussians.

    Raises:
        InputError: it has none, or none without NaN or infinity.
    """
    from lyra_data.engine.errors import InputError

    if not len(file.gaussians):
        dropped = f", besides {file.num_dropped} of NaN or infinity" if file.num_dropped else ""
        raise InputError(
            f"an empty scene: no Gaussians{dropped}",
            where=str(path),
            fix="export the scene again, or another one",
        )


def facts_of(file: SplatFile, framing: Framing) -> dict[str, Any]:
    """Return the numbers of a file, for --json."""
    import numpy as np

    means = file.gaussians.means.numpy()
    scales, opacities = file.gaussians.scales, file.gaussians.opacities
    low, high = np.quantile(means, [0.01, 0.99], axis=0)
    return {
        "num_gaussians": len(file.gaussians),
        "num_dropped": file.num_dropped,
        "bounds": [[round(float(v), 6) for v in edge] for edge in (means.min(0), means.max(0))],
        "bounds_98_percent": [[round(float(v), 6) for v in edge] for edge in (low, high)],
        "median_scale": float(scales.median()),
        "largest_scale": float(scales.max()),
        "median_opacity": float(opacities.median()),
        "seen_from": "the origin" if framing.from_origin else "outside",
        "conventions": file.conventions.sentences(),
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    low, high = facts["bounds_98_percent"]
    edges = ", ".join(
        f"{axis} {a:.3g} to {b:.3g}" for axis, a, b in zip("xyz", low, high, strict=True)
    )
    lines = [
        f"bounds (98 % of them): {edges}",
        f"scales: {facts['median_scale']:.3g} in the middle, {facts['largest_scale']:.3g} at most",
        f"opacities: {facts['median_opacity']:.2f} in the middle",
        f"shown from {facts['seen_from']}",
    ]
    if facts["num_dropped"]:
        lines.append(f"{counted(facts['num_dropped'], 'row')} of NaN or infinity left out")
    return lines + [f"read: {text}" for text in facts["conventions"]]


def _side_by_side(file: SplatFile, framing: Framing) -> np.ndarray:
    """Return the scene from all cameras in a row: height, width, RGB, 0..255."""
    import numpy as np

    from lyra_model.rendering import render
    from lyra_model.rendering.base import RenderingParams

    params = RenderingParams(
        near=framing.near,
        far=framing.far,
        background=BACKGROUND,
        patch_pixels=None,
        with_ut=False,
        with_eval3d=False,
    )
    frames = render(file.gaussians, framing.cameras, params).rgb.clamp(0, 1)
    pictures = (frames.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    return np.concatenate(list(pictures), axis=1)

"""A reconstructed scene in a line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe(report: Mapping[str, Any]) -> str:
    """Return the figures of a scene's report.json in words."""
    parts = [
        f"{report['gaussians']:,} Gaussians",
        f"frames read {report['frames_read']['psnr_db']:.1f} dB",
        f"held out {report['held_out']['psnr_db']:.1f} dB",
    ]
    if report["real_photos"] is not None:
        parts.append(f"real photos {report['real_photos']['psnr_db']:.1f} dB")
    return f"{report['scene_id']}: {', '.join(parts)}"

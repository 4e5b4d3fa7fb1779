"""A reconstructed scene in a line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe(report: Mapping[str, Any]) -> str:
    """Return the figures of a scene's report.json in words."""
    parts = [f"{report['gaussians']:,} Gaussians"]
    for name in ("frames_read", "held_out", "real_photos"):
        psnr_db = (report[name] or {}).get("psnr_db")
        if psnr_db is not None:
            parts.append(f"{name.replace('_', ' ')} {psnr_db:.1f} dB")
    return f"{report['scene_id']}: {', '.join(parts)}"

"""Quality: what is measured of every view, and which views are kept. See docs/quality.md."""

from __future__ import annotations

from lyra_data.generation.quality.assembly import assemble_scene

__all__ = ["assemble_scene"]

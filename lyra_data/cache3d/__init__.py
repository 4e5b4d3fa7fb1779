"""The 3D cache: RGB-D frames kept as a scene that can be shown from any camera."""

from __future__ import annotations

from lyra_data.cache3d.cache import Cache3D, Cache3DParams, CacheRender

__all__ = ["Cache3D", "Cache3DParams", "CacheRender"]

"""Teachers: what turns the 3D cache's view of a trajectory into a whole video."""

from __future__ import annotations

from lyra_data.engine.registry import Registry
from lyra_data.generation.teachers.base import Teacher

TEACHERS: Registry[Teacher] = Registry(
    "teacher",
    {
        "warp": "lyra_data.generation.teachers.warp:WarpTeacher",
        "gen3c": "lyra_data.generation.teachers.gen3c:Gen3CTeacher",
    },
)

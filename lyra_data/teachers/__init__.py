"""Teachers: what turns the 3D cache's view of a trajectory into a whole video."""

from __future__ import annotations

from lyra_data.registry import Registry
from lyra_data.teachers.base import Teacher

TEACHERS: Registry[Teacher] = Registry(
    "teacher",
    {
        "warp": "lyra_data.teachers.warp:WarpTeacher",
        "gen3c": "lyra_data.teachers.gen3c:Gen3CTeacher",
    },
)

"""Bounds of the rules, each with its reason. What was measured: docs/adr/0018-clip-checks.md."""

from __future__ import annotations

ROTATION_ERROR = 1e-3
"""Largest |R R' - 1|. Poses written with four decimals stay below; a scale of 1.001 does not."""

LAST_ROW_ERROR = 1e-6

JUMP_OF_MEDIAN = 8.0
"""A step is sudden if it is so many times the median step of the clip, and beyond its own bound."""

JUMP_OF_DEPTH = 0.1
"""A share of the median depth: 2.4 depths a second at 24 frames a second."""

JUMP_DEGREES = 10.0
"""A frame. A hand-held video with a running dog turns by 2.7 at most, at 30 frames a second."""

ZOOM_JUMP = 0.1
"""Change of the focal length in a frame, as a share. A tenfold zoom in a second is 0.1 at 24
frames a second; the same hand-held video grows by 0.03 at most."""

FOCAL_RANGE = (0.2, 12.0)
"""Shares of the longer side: 136 to 5 degrees across. A focal length beyond has another unit."""

FOCAL_RATIO = 1.1
"""fx over fy, either way. Pixels of usual cameras are square."""

KNOWN_SHARE = 0.05
"""A share of a frame's pixels; with less depth the 3D cache shows next to nothing."""

METRIC_DEPTH = (0.05, 500.0)
"""Metres, of the clip's median. Beyond it depth is in another unit: millimetres, or a scale."""

DEPTH_SPREAD = 1000.0
"""99th over 1st percentile of a frame's known depth. Beyond it far values are no distances."""

FRAME_RATE = (0.1, 1000.0)
"""Frames a second."""

BLANK_SPREAD = 2.0
"""Grey levels of 255: a frame with a smaller standard deviation shows nothing."""

FROZEN_OF_MEDIAN = 0.02
"""Mean difference to the frame before, of the clip's median difference."""

MOVING_SHARE = 0.8
"""A share of a frame's pixels; if more is masked as moving, poses have little to rest on."""

DISPLACED_DIAGONAL = 0.006
"""A share of the diagonal that following a point and the depth's rounding may cost: 4 px at
360x640."""

DISPLACED_MOTION = 0.12
"""A share of the motion between two frames; a focal length wrong by a fifth moves points by 0.2 of
it."""

DISPLACED_PLACE = 2.0
"""Times these two bounds, for a single pair: one corner of one frame may be hard to follow."""

BETTER_SHARE = 0.7
"""A share of the distance, over all pairs: another reading of the cameras must leave no more."""

BETTER_PAIRS = 0.8
"""Share of the pairs in which it must leave less."""

BETTER_DIAGONAL = 0.0015
"""The smallest share of the diagonal that it must take away."""

DEPTH_DISAGREES = 0.05
"""Share by which depth that is carried to another frame differs from that frame's own."""

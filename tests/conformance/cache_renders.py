"""The whole 3D cache, built, updated and shown along a path, against the reference."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lyra_data.cache3d.cache import Cache3D, CacheRender
from tests.conformance.base import Comparison
from tests.conformance.cache_inputs import Arrays, build, reference_params, targets_of, tensor
from tests.conformance.rounding import LEAST_STEADY, SteadyPixels, find_steady_pixels

FrameBuffer = tuple[int, int]
"""Index of a frame and of a buffer, 0 for the newest."""


def check_cache(comparison: Comparison, arrays: Arrays) -> None:
    """Compare a cache of one frame (3D) or of one frame per target (4D), plain or masked."""
    params = comparison.entry["params"]
    cache = build(arrays, reference_params(params))
    _compare_entry(comparison, arrays, cache)
    if "out_boundary_mask" in arrays:
        boundary = cache.entries[0].boundary
        expected = arrays["out_boundary_mask"].reshape(boundary.shape)
        comparison.add("boundary", boundary, expected, comparison.entry["tolerance"]["masks"])
    sensitive = [(frame, 0) for frame in params.get("rounding_sensitive_frames", ())]

    def render(inputs: Arrays) -> CacheRender:
        return build(inputs, reference_params(params)).render(targets_of(inputs))

    def render_unfiltered(inputs: Arrays) -> CacheRender:
        unfiltered = reference_params(params, threshold=1.0)
        return build(inputs, unfiltered).render(targets_of(inputs))

    def render_from_second(inputs: Arrays) -> CacheRender:
        stop = 1 + arrays["out_pixels_start1"].shape[1]
        targets = targets_of(inputs)[1:stop]
        return build(inputs, reference_params(params)).render(targets, start_frame=1)

    _compare_render(comparison, arrays, render, "", sensitive)
    if "out_pixels_unfiltered" in arrays:
        _compare_render(comparison, arrays, render_unfiltered, "_unfiltered", sensitive)
    if "out_pixels_start1" in arrays:
        _compare_render(comparison, arrays, render_from_second, "_start1", [])


def check_cache_update(comparison: Comparison, arrays: Arrays) -> None:
    """Compare a cache that got a new frame, seen from the target in which buffer 0 is not moved."""
    params = comparison.entry["params"]
    sensitive = [(item["frame"], item["buffer"]) for item in params.get("rounding_sensitive", ())]
    updated_in = next((frame for frame, buffer in sensitive if buffer == 0), 3)

    def update(inputs: Arrays) -> Cache3D:
        depth = tensor(inputs["in_new_depth"])[:, 0]
        return build(inputs, reference_params(params)).update(
            tensor(inputs["in_new_image"]),
            depth,
            torch.ones_like(depth, dtype=torch.bool),
            targets_of(inputs)[[updated_in]],
            alignment=params["alignment_method"],
        )

    _compare_entry(comparison, arrays, update(arrays))
    _compare_render(
        comparison, arrays, lambda inputs: update(inputs).render(targets_of(inputs)), "", sensitive
    )


def _compare_entry(comparison: Comparison, arrays: Arrays, cache: Cache3D) -> None:
    tolerance = comparison.entry["tolerance"]
    each = [entry.reference_points(pixel_centre=0.0) for entry in cache.entries]
    points = torch.stack(each, dim=1)
    expected = arrays["out_points"]  # [1, frame, buffer, view=1, height, width, 3]
    comparison.add("points", points, expected[0, :, :, 0], tolerance["points"])
    visible = torch.stack([entry.visible for entry in cache.entries], dim=1)
    comparison.add("mask", visible, arrays["out_input_mask"][0, :, :, 0, 0], tolerance["masks"])


def _compare_render(
    comparison: Comparison,
    arrays: Arrays,
    render: Callable[[Arrays], CacheRender],
    suffix: str,
    sensitive: list[FrameBuffer],
) -> None:
    """Compare every frame of every buffer; of rounding-sensitive ones the steady pixels."""
    tolerance = comparison.entry["tolerance"]
    ours = render(arrays)
    steady = None
    if sensitive:
        atol = tolerance["pixels"]["atol"]
        steady = find_steady_pixels(render, arrays, colour_tolerance=atol)
    num_frames, num_buffers = ours.known.shape[:2]
    for index in [(frame, buffer) for frame in range(num_frames) for buffer in range(num_buffers)]:
        if steady is not None and index in sensitive:
            _compare_steady(comparison, arrays, ours, index, suffix, steady)
            continue
        name = f"[{index[0]},{index[1]}]{suffix}"
        pixels, masks = arrays[f"out_pixels{suffix}"][0], arrays[f"out_masks{suffix}"][0]
        comparison.add(f"pixels{name}", ours.frames[index], pixels[index], tolerance["pixels"])
        comparison.add(f"masks{name}", ours.known[index], masks[index][0], tolerance["masks"])
        if not suffix and "out_depth" in arrays:
            depth = arrays["out_depth"][0]
            comparison.add(f"depth{name}", ours.depth[index], depth[index], tolerance["depth"])


def _compare_steady(
    comparison: Comparison,
    arrays: Arrays,
    ours: CacheRender,
    index: FrameBuffer,
    suffix: str,
    steady: SteadyPixels,
) -> None:
    tolerance = comparison.entry["tolerance"]
    known, colours = steady.known[index], steady.colours[index]
    name = f"[{index[0]},{index[1]}]{suffix}, pixels that rounding does not move"
    share = float(colours.float().mean())
    if share < LEAST_STEADY:
        comparison.failures.append(f"{name}: only {share:.3f} of them, {LEAST_STEADY} asked")
        return
    pixels = arrays[f"out_pixels{suffix}"][0][index][:, colours.numpy()]
    masks = arrays[f"out_masks{suffix}"][0][index][0][known.numpy()]
    comparison.add(f"pixels{name}", ours.frames[index][:, colours], pixels, tolerance["pixels"])
    comparison.add(f"masks{name}", ours.known[index][known], masks, tolerance["masks"])

"""Rendering on a GPU: time of a frame at 2 million Gaussians, forward and with gradients.

    python -m benchmarks.gpu_rendering [--gaussians 2044415] [--size 704 1280]

Random Gaussians in the view (benchmarks.rendering), gsplat classic and with 3DGUT, whole pictures
and patches; beside it the CPU renderer's picture of the same scene, and how far it differs. The
paper has 18 ms a frame. Not run here: no GPU was at hand.
"""

from __future__ import annotations

import torch

from benchmarks.gpu_device import chosen_device, device_arguments, measure
from benchmarks.rendering import PARAMS, uniform_scene
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import Render
from lyra_model.rendering.deferred import loss_over_views

RELEASED_AFTER_PRUNING = 2_044_415
WAYS = {
    "classic": {},
    "classic, patches of 256": {"patch_pixels": 256},
    "3DGUT": {"with_ut": True, "with_eval3d": True},
}


def main(words: list[str] | None = None) -> None:
    parser = device_arguments(__doc__)
    parser.add_argument("--gaussians", type=int, default=RELEASED_AFTER_PRUNING)
    parser.add_argument("--size", type=int, nargs=2, default=[704, 1280])
    arguments = parser.parse_args(words)
    device = chosen_device(arguments)
    if device is None:
        return
    number = 2000 if arguments.small else arguments.gaussians
    height, width = (64, 96) if arguments.small else arguments.size
    scene, cameras = uniform_scene(number, height, width, size_pixels=0.5)
    gaussians = scene.map(lambda field: field.to(device).requires_grad_())
    placed = cameras.to(device)

    def loss_of_view(view: Render, _shown: Gaussians, _frame: int) -> torch.Tensor:
        return view.rgb.square().mean() + view.depth.mean()

    print(f"{number} Gaussians, {height}x{width}; milliseconds a frame")
    for way, changes in WAYS.items():
        if device.type == "cpu" and "with_ut" in changes:
            print(f"  {way}: on CUDA only")
            continue
        params = PARAMS.model_copy(update=changes)

        def forward(params=params) -> Render:
            with torch.no_grad():
                return render(gaussians, placed, params)

        def both(params=params) -> None:
            loss_over_views(gaussians, placed, params, loss_of_view).backward()

        of_forward = measure(forward, device, arguments.repeats)
        of_both = measure(both, device, arguments.repeats)
        print(
            f"  {way}: forward {1e3 * of_forward.seconds:.1f}, with gradients "
            f"{1e3 * of_both.seconds:.1f}, peak {of_both.peak_gib:.2f} GiB"
        )
        on_cpu = render(scene, cameras, PARAMS, backend="cpu").rgb
        difference = (forward().rgb.cpu() - on_cpu).abs().flatten()
        print(f"    differs from the CPU renderer by {difference.mean():.1e} in the mean")


if __name__ == "__main__":
    main()

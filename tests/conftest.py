"""Shapes and types of every function that handles tensors are checked at run time, in tests."""

from __future__ import annotations

import signal

from jaxtyping import install_import_hook

from tests.warm_processes import warm_workers as warm_workers

# A shell starts what it runs in the background with SIGINT ignored, which processes of tests would
# inherit; some are to end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CHECKED = [
    "lyra_data.annotation.annotators",
    "lyra_data.cache3d",
    "lyra_data.media.camera_files",
    "lyra_data.scene.cameras",
    "lyra_data.scene.clip",
    "lyra_data.clips.formats",
    "lyra_data.clips.store",
    "lyra_data.models.codecs",
    "lyra_data.annotation.dense_stereo",
    "lyra_data.models.depth",
    "lyra_data.media.colour_maps",
    "lyra_data.media.depth_files",
    "lyra_data.scene.frame_selection",
    "lyra_data.annotation.framing",
    "lyra_data.models.gen3c",
    "lyra_data.generation.quality",
    "lyra_data.generation.rollout",
    "lyra_data.media.images",
    "lyra_data.media.shots",
    "lyra_data.sources",
    "lyra_data.annotation.structure_from_motion",
    "lyra_data.generation.teachers",
    "lyra_data.models.text_to_image",
    "lyra_data.generation.trajectories",
    "lyra_data.media.video",
    "lyra_data.scene.view",
    "lyra_model.evaluation.baselines",
    "lyra_model.batches",
    "lyra_model.decoder",
    "lyra_model.gaussians",
    "lyra_model.losses",
    "lyra_model.metrics",
    "lyra_model.export",
    "lyra_model.fitting.depth_completion",
    "lyra_model.fitting.fast_ssim",
    "lyra_model.fitting.fit",
    "lyra_model.fitting.margins",
    "lyra_model.fitting.measuring",
    "lyra_model.fitting.objective",
    "lyra_model.fitting.scene_fit",
    "lyra_model.fitting.states",
    "lyra_model.fitting.unproject",
    "lyra_model.fitting.variables",
    "lyra_model.rendering.base",
    "lyra_model.rendering.cpu",
    "lyra_model.rendering.deferred",
    "lyra_model.rendering.gsplat",
    "lyra_model.rendering.torch_reference",
    "lyra_model.evaluation.scoring",
]
_hook = install_import_hook(CHECKED, "beartype.beartype")

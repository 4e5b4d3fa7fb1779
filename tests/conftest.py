"""Shapes and types of every function that handles tensors are checked at run time, in tests."""

from __future__ import annotations

from jaxtyping import install_import_hook

CHECKED = [
    "lyra_data.annotators",
    "lyra_data.cache3d",
    "lyra_data.camera_files",
    "lyra_data.cameras",
    "lyra_data.clip",
    "lyra_data.clip_formats",
    "lyra_data.clip_store",
    "lyra_data.codecs",
    "lyra_data.dense_stereo",
    "lyra_data.depth",
    "lyra_data.depth_colours",
    "lyra_data.depth_files",
    "lyra_data.frame_selection",
    "lyra_data.framing",
    "lyra_data.gen3c",
    "lyra_data.generation.quality",
    "lyra_data.generation.rollout",
    "lyra_data.images",
    "lyra_data.shots",
    "lyra_data.sources",
    "lyra_data.structure_from_motion",
    "lyra_data.teachers",
    "lyra_data.text_to_image",
    "lyra_data.trajectories",
    "lyra_data.video_files",
    "lyra_data.view",
    "lyra_model.baselines",
    "lyra_model.batches",
    "lyra_model.decoder",
    "lyra_model.gaussians",
    "lyra_model.losses",
    "lyra_model.metrics",
    "lyra_model.export",
    "lyra_model.rendering.base",
    "lyra_model.rendering.cpu",
    "lyra_model.rendering.deferred",
    "lyra_model.rendering.gsplat",
    "lyra_model.rendering.torch_reference",
    "lyra_model.scoring",
]
_hook = install_import_hook(CHECKED, "beartype.beartype")

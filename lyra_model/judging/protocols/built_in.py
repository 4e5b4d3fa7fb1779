"""The protocols that are built in, each with the texts and code that it was read from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lyra_data.engine.errors import InputError
from lyra_data.engine.params import suggestion
from lyra_model.judging.protocols.protocol import (
    Metrics,
    Pictures,
    Poses,
    Protocol,
    Split,
)
from lyra_model.metrics.lpips import LpipsConvention
from lyra_model.metrics.psnr import PsnrConvention
from lyra_model.metrics.ssim import SsimConvention


@dataclass(frozen=True)
class BuiltIn:
    """A protocol with what is to be said of it.

    Attributes:
        summary: one sentence.
        sources: code and texts that its entries were read from.
        split_address: where the user fetches the split file; None where there is none.
    """

    protocol: Protocol
    summary: str
    sources: tuple[str, ...]
    split_address: str | None = None


PIXELSPLAT = "github.com/dcharatan/pixelsplat, commit 32b1b66"
NOPOSPLAT = "github.com/cvg/NoPoSplat, commit 9b04307"
DEPTHSPLAT = "github.com/cvg/depthsplat, commit 2dad25a"
WORLDMIRROR = "github.com/Tencent-Hunyuan/HunyuanWorld-Mirror, commit c61300e"

GIVEN = Poses("given", alignment="none", scale="none")
LPIPS_VGG = LpipsConvention("vgg")
PIXELSPLAT_METRICS = Metrics(PsnrConvention(), SsimConvention(), (LPIPS_VGG,), None)
"""src/evaluation/metrics.py of pixelSplat, which NoPoSplat and DepthSplat copied."""

RE10K_PICTURES = Pictures(
    truth_format="re10k",
    picture_folder=None,
    truth_height=360,
    truth_width=640,
    height=256,
    width=256,
    resampling="lanczos",
    crop="centre",
    rounding="none",
)

_AS_THEY_ARE = Pictures(
    truth_format="pictures",
    picture_folder=None,
    truth_height=None,
    truth_width=None,
    height=None,
    width=None,
    resampling="none",
    crop="none",
    rounding="none",
)

_NO_SPLIT = Split(
    file=None,
    sha256=None,
    num_listed=None,
    num_used=None,
    context_key="context",
    target_key="target",
    num_context="",
    num_targets="",
    scenes_with_inputs_as_targets=None,
)

LYRA_VIEWS = Protocol(
    name="lyra-views",
    split=replace(
        _NO_SPLIT,
        num_context="frames of each view before its held-out tail",
        num_targets="held-out tails of views, and real photos",
        scenes_with_inputs_as_targets=0,
    ),
    pictures=_AS_THEY_ARE,
    poses=GIVEN,
    metrics=Metrics(PsnrConvention(), SsimConvention(), (), None),
    aggregation="frames",
)

RE10K_PIXELSPLAT = Protocol(
    name="re10k-pixelsplat",
    split=Split(
        file="evaluation_index_re10k.json",
        sha256="fbcff9b4b13139227d809af45b84bb5a7a9cdb1c7a55bced85b6c66556a219cc",
        num_listed=7194,
        num_used=6474,
        context_key="context",
        target_key="target",
        num_context="2",
        num_targets="3",
        scenes_with_inputs_as_targets=575,
    ),
    pictures=replace(RE10K_PICTURES, rounding="down"),
    poses=replace(GIVEN, scale="distance of the two inputs is 1"),
    metrics=PIXELSPLAT_METRICS,
    aggregation="scenes",
)

RE10K_NOPOSPLAT = Protocol(
    name="re10k-noposplat",
    split=replace(
        RE10K_PIXELSPLAT.split,
        sha256="4940dbd54f98dec8c0db6854f6ff97456856d437b85e3808fd3747ecca68c8fe",
        num_used=5601,
        scenes_with_inputs_as_targets=434,
    ),
    pictures=RE10K_PICTURES,
    poses=Poses(
        "fitted",
        alignment="100 steps of Adam (0.005) on each target's pose, against the target's picture",
        scale="distance of the two inputs is 1",
    ),
    metrics=PIXELSPLAT_METRICS,
    aggregation="scenes",
)

DL3DV_PICTURES = Pictures(
    truth_format="dl3dv",
    picture_folder="images_8",
    truth_height=270,
    truth_width=480,
    height=256,
    width=448,
    resampling="none",
    crop="centre",
    rounding="none",
)


def _depthsplat(num_context: int, sha256: str) -> Protocol:
    return Protocol(
        name=f"dl3dv-depthsplat-{num_context}",
        split=Split(
            file=f"dl3dv_start_0_distance_50_ctx_{num_context}v_video_0_50.json",
            sha256=sha256,
            num_listed=140,
            num_used=140,
            context_key="context",
            target_key="target",
            num_context=str(num_context),
            num_targets="50",
            scenes_with_inputs_as_targets=140,
        ),
        pictures=DL3DV_PICTURES,
        poses=GIVEN,
        metrics=PIXELSPLAT_METRICS,
        aggregation="scenes",
    )


DL3DV_WORLDMIRROR = Protocol(
    name="dl3dv-worldmirror",
    split=Split(
        file="DL3DV.json",
        sha256="ee704f873c4a2d330f8c9b1d26d8c63c1752a3b3190713e60095c033fd54aa9c",
        num_listed=112,
        num_used=112,
        context_key="input",
        target_key="target",
        num_context="8; in four scenes more",
        num_targets="7 to 9; in four scenes more",
        scenes_with_inputs_as_targets=67,
    ),
    pictures=replace(
        DL3DV_PICTURES,
        truth_height=None,
        truth_width=None,
        height=378,
        width=518,
        resampling="lanczos",
    ),
    poses=Poses(
        "predicted",
        alignment="mean distance of the inputs' predicted cameras from the origin",
        scale="mean distance of the inputs' cameras from the origin is 1",
    ),
    metrics=Metrics(
        PsnrConvention(clip=False, floor=1e-8),
        SsimConvention("population", "zeros"),
        (LpipsConvention("alex", averaging="pixel"),),
        None,
    ),
    aggregation="scenes",
)


def _table_one(name: str, scale: str) -> Protocol:
    return Protocol(
        name=name,
        split=replace(
            _NO_SPLIT,
            num_context="1",
            num_targets="frames of the source video at the same poses",
            scenes_with_inputs_as_targets=None,
        ),
        pictures=_AS_THEY_ARE,
        poses=Poses("given", alignment="first pose", scale=scale),
        metrics=PIXELSPLAT_METRICS,
        aggregation="scenes",
    )


_PIXELSPLAT_SOURCES = (
    f"{PIXELSPLAT}: assets/evaluation_index_re10k.json, src/evaluation, src/misc/image_io.py, "
    "src/dataset/dataset_re10k.py, src/dataset/shims/crop_shim.py",
)
_DEPTHSPLAT_SOURCES = (
    f"{DEPTHSPLAT}: README.md, DATASETS.md, src/evaluation/metrics.py, src/model/model_wrapper.py",
)
_TABLE_ONE_SOURCES = (
    "Lyra's paper, Table 1",
    "github.com/nv-tlabs/lyra, issue 28: one input image, the source video's poses, its frames "
    "are the truth; the frames themselves were not published",
)

BUILT_IN: dict[str, BuiltIn] = {
    known.protocol.name: known
    for known in (
        BuiltIn(
            LYRA_VIEWS,
            "Our own: held-out tails of generated views, and real photos, as `evaluate` judges.",
            ("docs/adr/0006-held-out-frames-and-baselines.md",),
        ),
        BuiltIn(
            RE10K_PIXELSPLAT,
            "RealEstate10K as pixelSplat: 2 inputs, 3 targets, 256x256, given poses.",
            _PIXELSPLAT_SOURCES,
            "https://github.com/dcharatan/pixelsplat/blob/main/assets/evaluation_index_re10k.json",
        ),
        BuiltIn(
            RE10K_NOPOSPLAT,
            "RealEstate10K as NoPoSplat: target poses are fitted to the target pictures.",
            (
                f"{NOPOSPLAT}: assets/evaluation_index_re10k.json, config/main.yaml (test), "
                "src/model/model_wrapper.py (test_step_align), src/evaluation/metrics.py",
            ),
            "https://github.com/cvg/NoPoSplat/blob/main/assets/evaluation_index_re10k.json",
        ),
        *(
            BuiltIn(
                _depthsplat(num_context, sha256),
                f"DL3DV as DepthSplat with {num_context} inputs: 140 scenes, all frames 0 to 49, "
                "inputs among them.",
                _DEPTHSPLAT_SOURCES,
                "https://github.com/cvg/depthsplat/blob/main/assets/"
                f"dl3dv_start_0_distance_50_ctx_{num_context}v_video_0_50.json",
            )
            for num_context, sha256 in (
                (2, "434c3e1bd9395cf7f0f2f0dc787d15a9bddd87865891fd5817fdfa6e711ad46d"),
                (4, "2bae3240e42b6f2bddd21ac20752c65996e2923d0606dbffef7d15fee33beeca"),
                (6, "3ab98877ef792fa91f2dd2982e7ea62c4033a1fb04a65fb63288e7a7ae3c4b9e"),
            )
        ),
        BuiltIn(
            DL3DV_WORLDMIRROR,
            "DL3DV as WorldMirror: 112 scenes, 8 inputs; target poses are predicted from the "
            "target pictures.",
            (
                f"{WORLDMIRROR}: training/assets/nvs-index-maps/DL3DV.json, "
                "training/configs/eval/nvs.yaml, training/data/eval/dl3dv_nvs.py, "
                "training/utils/eval/nvs_eval.py, src/models/models/rasterization.py (render)",
            ),
            "https://github.com/Tencent-Hunyuan/HunyuanWorld-Mirror/blob/main/training/assets/"
            "nvs-index-maps/DL3DV.json",
        ),
        BuiltIn(
            _table_one("lyra-table1", "none"),
            "The kind of Lyra's Table 1: one image, the source's poses. Its split is unpublished.",
            _TABLE_ONE_SOURCES,
        ),
        BuiltIn(
            _table_one("lyra-table1-aligned", "the predicted scene is scaled to the true depths"),
            "The same with the scene's scale aligned; the paper does not say which it did.",
            _TABLE_ONE_SOURCES,
        ),
    )
}


def find_protocol(name: str) -> BuiltIn:
    """Return the built-in protocol of that name.

    Raises:
        InputError: the name is unknown; the known ones are listed.
    """
    if name not in BUILT_IN:
        raise InputError(
            f"unknown protocol {name!r}", where="--protocol", fix=suggestion(name, list(BUILT_IN))
        )
    return BUILT_IN[name]

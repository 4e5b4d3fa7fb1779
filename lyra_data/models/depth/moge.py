"""The `moge` estimator: Microsoft's MoGe, which tells depth, sky and the field of view.

MoGe is no package of PyPI; it is installed from its repository, and imported at the first picture.
Wang et al., "MoGe: Unlocking Accurate Monocular Geometry Estimation for Open-Domain Images with
Optimal Training Supervision" (2410.19115), and "MoGe-2" (2507.02546). The reference runs MoGe 1 on
every single image (GEN3C's gen3c_single_image.py, _predict_moge_depth).
"""

from __future__ import annotations

import importlib
import math
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.params import Params
from lyra_data.engine.pickles import refuse_endless_checkpoint
from lyra_data.engine.placement import Placement
from lyra_data.models.depth.base import DepthEstimate, check_size
from lyra_data.models.folders import ModelFolder, fetching_command, find_model
from lyra_data.scene.pixel_values import unit_from_bytes

INSTALL = "pip install git+https://github.com/microsoft/MoGe.git"
CHECKPOINT = "model.pt"
SCALE_HEAD = "scale_head"
"""MoGe 2's part that tells metres. Without it `infer` leaves depth up to scale and says nothing."""
MAX_NAMED = 3
"""Weights that an error names."""
REFERENCE_SIZE = (720, 1280)
"""Height and width at which the reference shows MoGe every picture, whatever its shape."""
REFERENCE_FAR = 1000.0
"""The depth that the reference gives to sky."""
WHERE = "depth estimator 'moge'"


class MogeParams(Params):
    """Microsoft's MoGe.

    Attributes:
        model: Hub repository [Ruicheng/moge-vitl], or a folder with its model.pt.
        revision: commit, tag or branch of the repository; null for a folder, or for the one its
            default branch had when it was fetched.
        version: v1 [the reference's; depth up to scale] or v2 (Ruicheng/moge-2-vitl; metric, as
            are all with a scale head).
        resolution_level: 0 (fast) to 9 (fine) [9].
        half_precision: run the network in float16 [true]; for a CPU false.
        reference: squeeze the picture to 1280x720 for the model, and give sky a depth of 1000, as
            the reference does; else sky has no depth.
    """

    name: Literal["moge"]
    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    version: Literal["v1", "v2"]
    resolution_level: Annotated[int, Field(ge=0, le=9)]
    half_precision: bool
    reference: bool


class Moge:
    """See the module's docstring."""

    Params = MogeParams
    name: ClassVar[str] = "moge"
    has_model: ClassVar[bool] = True

    def __init__(self, params: MogeParams) -> None:
        self.params = params
        self._placement = Placement("cpu")

    @property
    def fingerprint(self) -> str:
        settings = self.params
        reference = "-reference" if settings.reference else ""
        half = "-half" if settings.half_precision else ""
        level = f"{settings.version}-level{settings.resolution_level}{half}{reference}"
        return f"moge-{level}-{self._folder.identity}"

    def run_on(self, placement: Placement) -> None:
        self._placement = placement

    def estimate(
        self, image: UInt8[Tensor, "3 height width"], intrinsics: Float[Tensor, " 4"] | None
    ) -> DepthEstimate:
        """Estimate depth where MoGe sees a surface.

        Given intrinsics tell MoGe the field of view; it takes the optical axis to go through the
        picture's middle whatever they say.
        """
        height, width = image.shape[-2:]
        check_size(height, width)
        model = self._model.to(self._placement.device)
        output = model.infer(
            self._model_input(image).to(self._placement.device),
            fov_x=None if intrinsics is None else _field_of_view_degrees(intrinsics, width),
            resolution_level=self.params.resolution_level,
            use_fp16=self.params.half_precision,
        )
        if self._placement.offload != "none":
            model.to("cpu")
        depth, mask = output["depth"].float(), output["mask"].bool()
        if self.params.reference:
            depth = torch.where(mask, depth, REFERENCE_FAR)
            depth = F.interpolate(depth[None, None], (height, width), mode="bilinear")[0, 0]
            mask = torch.ones_like(depth, dtype=torch.bool)
        if intrinsics is None:
            matrix = output["intrinsics"].float().cpu()  # of a picture of size 1x1
            size = torch.tensor([width, height, width, height])
            intrinsics = size * matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
        scale = "metric" if hasattr(model, SCALE_HEAD) else "up_to_scale"
        return DepthEstimate.where_possible(depth, mask, scale, intrinsics)

    def _model_input(
        self, image: UInt8[Tensor, "3 height width"]
    ) -> Float[Tensor, "3 rows columns"]:
        """Return the picture as the model takes it, [0, 1]."""
        if self.params.reference:
            import cv2

            rows, columns = REFERENCE_SIZE
            pixels = cv2.resize(image.permute(1, 2, 0).contiguous().numpy(), (columns, rows))
            image = torch.from_numpy(pixels).permute(2, 0, 1)
        return unit_from_bytes(image)

    @cached_property
    def _folder(self) -> ModelFolder:
        return find_model(
            self.params.model, self.params.revision, root=self._placement.root, where=WHERE
        )

    @cached_property
    def _model(self) -> Any:
        module = self._installed()
        checkpoint = self._folder.path / CHECKPOINT
        self._check_whole(checkpoint)
        with file_at_fault(checkpoint, kind="checkpoint", fix=self._fetch_again, error=ParamsError):
            refuse_endless_checkpoint(checkpoint)
        try:
            model = module.MoGeModel.from_pretrained(str(checkpoint)).eval()
            _check_every_weight(model, checkpoint)
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise ParamsError(
                f"{checkpoint} is no MoGe {self.params.version}: {error}",
                where=WHERE,
                fix="set `version` to the model's own, or correct `model`",
            ) from error
        return model

    def _installed(self) -> Any:
        try:
            return importlib.import_module(f"moge.model.{self.params.version}")
        except ImportError as error:
            command = fetching_command(self.params.model, self.params.revision)
            raise ParamsError(
                f"the package MoGe is not installed ({error})",
                where=WHERE,
                fix=f"run `{INSTALL}`; `{command}` gets its weights",
            ) from error

    def _check_whole(self, checkpoint: Path) -> None:
        if not checkpoint.is_file() or not zipfile.is_zipfile(checkpoint):
            raise ParamsError(
                f"{checkpoint} is {'cut or no checkpoint' if checkpoint.exists() else 'missing'}",
                where=WHERE,
                fix=self._fetch_again,
            )

    @property
    def _fetch_again(self) -> str:
        command = fetching_command(self.params.model, self.params.revision)
        return f"run `{command}` again, or correct `model`"


def _check_every_weight(model: torch.nn.Module, checkpoint: Path) -> None:
    """Refuse a checkpoint that does not fit: MoGe 2 loads what matches, and leaves other weights
    random, without a word.

    Raises:
        RuntimeError: the checkpoint lacks weights of the model, or has others.
    """
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)[
        "model"
    ].keys()
    needed = model.state_dict().keys()
    problems = [
        f"{len(names)} {kind} weights ({', '.join(sorted(names)[:MAX_NAMED])}"
        f"{', ...' if len(names) > MAX_NAMED else ''})"
        for kind, names in (("missing", needed - stored), ("unexpected", stored - needed))
        if names
    ]
    if problems:
        raise RuntimeError(" and ".join(problems))


def _field_of_view_degrees(intrinsics: Float[Tensor, " 4"], width: int) -> float:
    return math.degrees(2.0 * math.atan(width / (2.0 * float(intrinsics[0]))))

"""The `gen3c` teacher: GEN3C-Cosmos-7B, as the diffusers pipeline of lyra_data.models.gen3c.

Weights: what `lyra-data weights convert` writes, by default weights/gen3c.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor

from lyra_data.engine.errors import MemoryShortageError
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.generation.teachers.base import TeacherInput, TeacherOutput, TeacherSpec
from lyra_data.models.codecs.base import whole_latents
from lyra_data.models.places import find_weights

if TYPE_CHECKING:
    from lyra_data.models.gen3c.pipeline import Gen3CPipeline


class Gen3CTeacherParams(Params):
    """GEN3C's settings. The released model: 35 steps, guidance 1, augment_sigma 0.001, 121 frames.

    Attributes:
        weights: folder of the converted weights, from the folder of params.yaml.
        num_steps: noise levels on the way from noise to video.
        guidance: g of F = Fc + g (Fc - Fu); Fu is made without the cache, with `negative_prompt`.
        augment_sigma: level of the noise on the conditioning frame.
        input_frames_guidance: Fu is not told which frame is given, either.
        segment_frames: frames made at a time, 8k+1; the released model was trained with 121.
        use_prompt: tell the network the clip's prompt; needs the T5 text encoder in `weights`.
            A clip without a prompt, and false, mean all-zero embeddings.
        negative_prompt: text of the pass without the cache; "" keeps the clip's prompt in it.
        network_dtype: in which the transformer and the text encoder compute. Latents and VAE are
            float32.
        layerwise_casting: keep the transformer's weights in 8 bits (float8_e4m3) between uses.
    """

    name: Literal["gen3c"]
    weights: str = Field(min_length=1)
    num_steps: int = Field(ge=1, le=1000)
    guidance: float = Field(ge=0)
    augment_sigma: float = Field(ge=0)
    input_frames_guidance: bool
    segment_frames: Annotated[int, whole_latents(least=9)]
    use_prompt: bool
    negative_prompt: str
    network_dtype: Literal["bfloat16", "float32"]
    layerwise_casting: bool

    @model_validator(mode="after")
    def _negative_prompt_needs_prompts(self) -> Gen3CTeacherParams:
        if self.negative_prompt and not self.use_prompt:
            raise ValueError("negative_prompt needs use_prompt: true, for its text encoder")
        return self


class Gen3CTeacher:
    """Loaded at its first request."""

    name: ClassVar[str] = "gen3c"
    Params = Gen3CTeacherParams

    def __init__(self, params: Gen3CTeacherParams) -> None:
        self.params = params
        self._placement = Placement("cpu")
        self._pipeline: Gen3CPipeline | None = None
        self._weights_fingerprint: str | None = None  # hashing gigabytes once is enough

    @property
    def spec(self) -> TeacherSpec:
        return TeacherSpec(
            size_multiple=16,
            frame_period=self.params.segment_frames - 1,
            segment_frames=self.params.segment_frames,
            max_buffers=2,
            latent_space="cosmos",
            guardrail="off",
        )

    def run_on(self, placement: Placement) -> None:
        self._placement = placement

    @property
    def fingerprint(self) -> str:
        """The weights' hash, every setting, and the version of the networks' code.

        Raises:
            ParamsError: there are no weights.
        """
        if self._weights_fingerprint is None:
            from lyra_data.models.gen3c.loading import require_weights
            from lyra_data.models.weights.manifest import weights_fingerprint

            require_weights(self._folder, "model_index.json")
            self._weights_fingerprint = weights_fingerprint(self._folder)
        settings = self.params.model_dump(exclude={"name", "weights"})
        return ", ".join(
            [
                f"gen3c-2 {self._weights_fingerprint}",
                f"diffusers {importlib.metadata.version('diffusers')}",
                *(f"{name} {value}" for name, value in settings.items()),
            ]
        )

    @property
    def latents_fingerprint(self) -> str:
        from lyra_data.models.weights.tokenizer_fingerprint import tokenizer_fingerprint

        return tokenizer_fingerprint(self._folder / "vae")

    def generate(self, request: TeacherInput) -> TeacherOutput:
        """Make the whole path, segment by segment.

        Raises:
            ParamsError: there are no weights, or the picture's size does not fit the network.
            MemoryShortageError: the device has too little memory.
        """
        assert len(request.warped) == self.params.segment_frames, "not the first segment"
        settings, known = self.params, [request.known.any(dim=1)]

        def next_segment(
            last_frame: Float[Tensor, "1 3 height width"],
        ) -> tuple[Tensor, Tensor]:
            assert request.next_segment is not None
            render = request.next_segment(last_frame[0])
            known.append(render.known.any(dim=1)[1:])
            return render.frames[None], _masks(render.known)

        try:
            made = self._loaded()(
                request.image[None],
                request.warped[None],
                _masks(request.known),
                num_frames=len(request.cameras),
                next_segment=next_segment if request.next_segment is not None else None,
                prompt=(request.prompt or None) if settings.use_prompt else None,
                negative_prompt=settings.negative_prompt or None,
                num_inference_steps=settings.num_steps,
                guidance=settings.guidance,
                input_frames_guidance=settings.input_frames_guidance,
                batch_guidance=self._placement.offload == "none",
                augment_sigma=settings.augment_sigma,
                fps=request.fps,
                seed=request.seed,
                output_type="uint8",
            )
        except torch.OutOfMemoryError as error:
            raise MemoryShortageError(
                f"GEN3C does not fit the memory of {self._placement.device}: {error}",
                fix="offload models (`--offload model`, or `group`, or `sequential`), or set "
                "generate.teacher.layerwise_casting to true",
            ) from None
        invented = ~torch.cat(known)
        invented[0] = False  # the photo itself
        return TeacherOutput(frames=made.frames[0], filled=invented, latents=made.latents[0])

    @property
    def _folder(self) -> Path:
        return find_weights(self.params.weights, self._placement.root)

    def _loaded(self) -> Gen3CPipeline:
        if self._pipeline is None:
            from lyra_data.models.gen3c.loading import load_pipeline

            self._pipeline = load_pipeline(
                self._folder,
                self._placement,
                network_dtype=self.params.network_dtype,
                layerwise_casting=self.params.layerwise_casting,
                with_text=self.params.use_prompt,
            )
            # Views have a bar of their own; a bar of steps would tear it.
            self._pipeline.set_progress_bar_config(disable=True)
        return self._pipeline


def _masks(
    known: Bool[Tensor, "frame buffer height width"],
) -> Float[Tensor, "1 frame buffer 1 height width"]:
    return rearrange(known.float(), "f n h w -> 1 f n 1 h w")

"""Gen3CPipeline: a video from an image and what its 3D cache shows along a camera path.

GEN3C-Cosmos-7B (Ren et al. 2025, arXiv:2503.03751) on diffusers' own classes. What is exact, what
is better than the reference and why: docs/adr/0009-gen3c-in-diffusers.md.
"""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import (
    AutoencoderKLCosmos,
    CosmosTransformer3DModel,
    DiffusionPipeline,
    EDMEulerScheduler,
)
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from lyra_data.models.gen3c.checks import check_inputs, check_models, check_num_steps
from lyra_data.models.gen3c.conditioning import Condition, Latents, encode_cache, encode_image
from lyra_data.models.gen3c.inputs import picture_values, warped_values
from lyra_data.models.gen3c.noise import (
    augmentation_noise,
    reference_augmentation_noise,
    sample_seeds,
    starting_noise,
)
from lyra_data.models.gen3c.outputs import (
    Gen3CPipelineOutput,
    check_output_type,
    convert_frames,
    kept_frames,
    stored_as_bytes,
)
from lyra_data.models.gen3c.sampling import Guidance, Step, sample
from lyra_data.models.gen3c.segments import (
    Segment,
    check_continuation,
    join_segments,
    segment_layout,
)
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_data.models.gen3c.text import MAX_TOKENS, TextShape, create_text

Warped = tuple[Tensor, Tensor]
NextSegment = Callable[[Tensor], Warped]
"""The last frame made [batch 3 height width], [-1, 1] -> warped frames and masks of the next
segment, whose first camera is that frame's own."""


@dataclass(frozen=True)
class _Run:
    """Settings that all segments of one call share; see __call__."""

    guidance: Guidance
    statistics: LatentStatistics
    num_steps: int
    augment_sigma: float
    augment_seed: int | None
    fps: float
    seeds: list[int]


class Gen3CPipeline(DiffusionPipeline):
    """See the module's docstring.

    Args:
        transformer: 82 input channels, concat_padding_mask off. Any dtype: latents stay float32.
        vae: its config holds the statistics of the released mean_std.pt.
        scheduler: as `lyra_data.models.gen3c.scheduler.create_scheduler` makes it.
        text_encoder, tokenizer: T5-11B; without them there are no prompts.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _optional_components: ClassVar[list[str]] = ["text_encoder", "tokenizer"]

    transformer: Any
    vae: Any
    scheduler: Any
    text_encoder: Any
    tokenizer: Any

    def __init__(
        self,
        transformer: CosmosTransformer3DModel,
        vae: AutoencoderKLCosmos,
        scheduler: EDMEulerScheduler,
        text_encoder: T5EncoderModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        super().__init__()
        check_models(transformer, vae, scheduler)
        self.register_modules(
            transformer=transformer,
            vae=vae,
            scheduler=scheduler,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )

    @torch.no_grad()
    def __call__(
        self,
        image: Float[Tensor, "_ 3 _ _"] | Image.Image | Sequence[Image.Image],
        warped_frames: Float[Tensor, "batch segment_frame buffer 3 height width"],
        warped_masks: Float[Tensor, "_ _ _ 1 _ _"],
        *,
        num_frames: int | None = None,
        next_segment: NextSegment | None = None,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        max_sequence_length: int = MAX_TOKENS,
        num_inference_steps: int = 35,
        guidance: float = 1.0,
        input_frames_guidance: bool = False,
        batch_guidance: bool = True,
        augment_sigma: float = 0.001,
        fps: float = 24.0,
        seed: int | list[int] | None = None,
        generator: torch.Generator | None = None,
        latents: Tensor | None = None,
        augment_seed: int | None = None,
        output_type: str = "uint8",
        on_step: Callable[[Segment, Step], None] | None = None,
    ) -> Gen3CPipelineOutput:
        """Generate.

        Args:
            image: the conditioning picture [batch 3 height width], [-1, 1]; the first frame. Or
                one of Pillow's, or several for a batch, of the warped frames' size.
            warped_frames: the cache in the cameras of the first segment, [-1, 1], -1 where it
                shows nothing; newest buffer first, at most two.
            warped_masks: [batch segment_frame buffer 1 height width], 1 where it shows
                something, else 0.
            num_frames: of the whole video: k * (segment_frame - 1) + 1; None: one segment.
            next_segment: gives the warped frames and masks of later segments.
            prompt: one, or one for each of the batch; None: all-zero embeddings.
            negative_prompt: likewise, of the unconditional pass; None: that pass keeps the
                prompt's own embeddings and loses the cache alone, as the reference's does.
            prompt_embeds, negative_prompt_embeds: instead of those, [1 or batch, token, width];
                zeros fill them up to `max_sequence_length`.
            guidance: g of F = Fc + g (Fc - Fu); 1 needs both passes too.
            input_frames_guidance: the unconditional pass is not told the conditioning frame.
            batch_guidance: both passes in one forward; False: half the memory.
            augment_sigma: noise level given to the conditioning frame.
            fps: frames per second, told to the rotary embedding.
            seed: one, or one for each of the batch; all that is drawn derives from it, per
                segment. None: drawn from `generator`, or from torch's own where that is None.
            latents: unit noise to start the first segment from, instead of drawing it.
            augment_seed: draws the augmentation noise as the reference does, for every segment.
            on_step: told after every step.

        Raises:
            ParamsError: a size, length or number of buffers the network cannot take, no steps, a
                prompt without a text encoder, latent statistics of another tokenizer.
        """
        image = picture_values(image)
        warped_frames = warped_values(warped_frames, "warped_frames")
        warped_masks = warped_values(warped_masks, "warped_masks")
        check_output_type(output_type)
        check_num_steps(num_inference_steps)
        batch, segment_frames = warped_frames.shape[:2]
        segments = segment_layout(num_frames or segment_frames, segment_frames)
        check_continuation(segments, can_continue=next_segment is not None)
        text = negative_text = self._text(prompt, prompt_embeds, batch, max_sequence_length)
        if negative_prompt is not None or negative_prompt_embeds is not None:
            negative = (negative_prompt, negative_prompt_embeds)
            negative_text = self._text(*negative, batch, max_sequence_length)
        run = _Run(
            guidance=Guidance(
                text=text,
                negative_text=negative_text,
                scale=guidance,
                input_frames=input_frames_guidance,
                batched=batch_guidance,
            ),
            statistics=LatentStatistics.of(self.vae),
            num_steps=num_inference_steps,
            augment_sigma=augment_sigma,
            augment_seed=augment_seed,
            fps=fps,
            seeds=sample_seeds(seed, generator, batch),
        )
        all_frames, all_latents = [], []
        num_steps = num_inference_steps * len(segments)
        with self.progress_bar(total=num_steps) as progress:  # pyright: ignore
            for segment in segments:
                if segment.index:
                    assert next_segment is not None
                    warped_frames, warped_masks = next_segment(image)

                def watch(step: Step, segment: Segment = segment) -> None:
                    progress.update()
                    if on_step is not None:
                        on_step(segment, step)

                raw = self._make(
                    run,
                    segment,
                    image,
                    warped_frames,
                    warped_masks,
                    noise=None if segment.index else latents,
                    on_step=watch,
                )
                all_latents.append(raw.cpu())
                if output_type == "latent" and segment is segments[-1]:
                    break
                decoded = self._decode(raw).cpu()
                image = stored_as_bytes(decoded[:, :, -1])
                all_frames.append(kept_frames(decoded[:, :, segment.first_kept :], output_type))
        self.maybe_free_model_hooks()
        return Gen3CPipelineOutput(
            frames=convert_frames(all_frames, output_type), latents=join_segments(all_latents)
        )

    def _make(
        self,
        run: _Run,
        segment: Segment,
        image: Tensor,
        warped_frames: Tensor,
        warped_masks: Tensor,
        *,
        noise: Tensor | None,
        on_step: Callable[[Step], None],
    ) -> Latents:
        """Raw latents of one segment."""
        batch, frames, _, _, height, width = warped_frames.shape
        max_size, statistics = list(self.transformer.config.max_size), run.statistics
        check_inputs(image, warped_frames, warped_masks, max_size=max_size, statistics=statistics)
        shape = (16, (frames - 1) // 8 + 1, height // 8, width // 8)
        if noise is None:
            noise = starting_noise(run.seeds, segment.index, shape)
        if run.augment_seed is None:
            augment_noise = augmentation_noise(run.seeds, segment.index, shape)
        else:
            augment_noise = reference_augmentation_noise(run.augment_seed, (batch, *shape))

        def encode(video: Tensor) -> Tensor:
            return statistics.normalise(self._encode(video))

        def network(channels: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
            return self._predict(channels, timestep, text, run.fps)

        made = sample(
            network,
            self.scheduler,
            self._to_device(noise),
            Condition(
                image_latents=encode_image(encode, image, num_latent_frames=shape[1]),
                cache_latents=encode_cache(encode, warped_frames, warped_masks),
                augment_noise=self._to_device(augment_noise),
                augment_sigma=run.augment_sigma,
            ),
            run.guidance,
            num_steps=run.num_steps,
            on_step=on_step,
        )
        return statistics.denormalise(made)

    def _predict(self, channels: Tensor, timestep: Tensor, text: Tensor, fps: float) -> Tensor:
        """The network in its own precision, float32 outside."""
        dtype = self.transformer.dtype
        output = self.transformer(
            hidden_states=channels.to(dtype),
            timestep=timestep,
            encoder_hidden_states=text.to(dtype),
            fps=fps,
            return_dict=False,
        )[0]
        return output.float()

    def _encode(self, video: Tensor) -> Tensor:
        """Raw latents in float32, one video of the batch at a time, for memory."""
        device, dtype = self._execution_device, self.vae.dtype
        parts = [
            self.vae.encode(one.to(device, dtype)).latent_dist.mode() for one in video.split(1)
        ]
        return torch.cat(parts).float()

    def _decode(self, raw: Tensor) -> Tensor:
        parts = [self.vae.decode(one.to(self.vae.dtype)).sample for one in raw.split(1)]
        return torch.cat(parts).float()

    def _to_device(self, values: Tensor) -> Tensor:
        return values.to(self._execution_device, torch.float32)

    def _text(self, prompt: Any, embeddings: Tensor | None, batch: int, num_tokens: int) -> Tensor:
        """Return embeddings of prompts, or those given, or zeros: [batch token width]."""
        models = (self.tokenizer, self.text_encoder)
        shape = TextShape(batch, num_tokens, self.transformer.config.text_embed_dim)
        text = create_text(prompt, embeddings, *models, shape, device=self._execution_device)
        return self._to_device(text)

"""Tiny models with random weights, saved as the released ones are: real classes, seconds to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZE = 28
"""Side in pixels that the tiny depth models see; patches have 14."""


def write_depth_anything(folder: Path, *, kind: str, max_depth: int = 20, seed: int = 0) -> Path:
    """Depth Anything: `kind` "relative" or "metric"."""
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
    )

    backbone = Dinov2Config(
        **_tiny_dinov2(num_layers=4),
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=kind,
        max_depth=max_depth if kind == "metric" else 1,
    )
    model = _lively(DepthAnythingForDepthEstimation(config), seed)
    with torch.no_grad():
        model.head.conv3.bias += 1.0  # keep the last ReLU from cutting everything off
    model.save_pretrained(folder)
    _write_preprocessor(
        folder,
        image_processor_type="DPTImageProcessor",
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        resample=3,
        size={"height": SIZE, "width": SIZE},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return folder


def write_depth_pro(folder: Path, *, estimates_field_of_view: bool = True, seed: int = 0) -> Path:
    """Depth Pro."""
    from transformers import DepthProConfig, DepthProForDepthEstimation

    tiny = {"model_type": "dinov2", **_tiny_dinov2(num_layers=2, patch_size=8, image_size=16)}
    config = DepthProConfig(
        fusion_hidden_size=16,
        patch_size=16,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[16, 16],
        scaled_images_ratios=[0.25, 0.5, 1],
        scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[16, 16, 16],
        merge_padding_value=0,
        use_fov_model=estimates_field_of_view,
        num_fov_head_layers=2,
        image_model_config=dict(tiny),
        patch_model_config=dict(tiny),
        fov_model_config=dict(tiny),
    )
    model = _lively(DepthProForDepthEstimation(config), seed)
    with torch.no_grad():
        model.head.layers[-2].bias += 1.0
        if model.fov_model is not None:
            model.fov_model.head.layers[-1].bias += 60.0  # degrees
    model.save_pretrained(folder)
    _write_preprocessor(
        folder,
        image_processor_type="DepthProImageProcessor",
        resample=2,
        size={"height": 64, "width": 64},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return folder


def _lively(model: Any, seed: int) -> Any:
    """The model with weights of a spread that keeps signals alive; freshly made ones die out."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                spread = weights[0].numel() ** -0.5
                weights.copy_(torch.randn(weights.shape, generator=generator) * spread)
    return model.eval()


def _tiny_dinov2(num_layers: int, patch_size: int = 14, image_size: int = SIZE) -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 2,
        "mlp_ratio": 2,
        "patch_size": patch_size,
        "image_size": image_size,
    }


def _write_preprocessor(folder: Path, **values: Any) -> None:
    common = {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "rescale_factor": 1 / 255,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps({**common, **values}))


def write_flux(folder: Path, *, seed: int = 0) -> Path:
    """FLUX.1-dev, with tokenizers that know a few letters."""
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        FluxPipeline,
        FluxTransformer2DModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    clip = CLIPTextConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=1,
        projection_dim=16,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    t5 = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    autoencoder = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1,
        scaling_factor=0.4,
    )
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_lively(autoencoder, seed),
        text_encoder=_lively(CLIPTextModel(clip), seed),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_lively(T5EncoderModel(t5), seed),
        tokenizer_2=_t5_tokenizer(),
        transformer=_lively(transformer, seed),
    )
    pipeline.save_pretrained(folder)
    return folder


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    pieces = [letter + end for letter in LETTERS for end in ("", "</w>")]
    vocab = ["<|startoftext|>", "<|endoftext|>", *pieces]
    return CLIPTokenizer(
        vocab={piece: place for place, piece in enumerate(vocab)}, merges=[], model_max_length=77
    )


def _t5_tokenizer() -> Any:
    from transformers import T5TokenizerFast

    pieces = ["<pad>", "</s>", "<unk>", "▁", *LETTERS]
    vocab = [(piece, -1.0 if place > 2 else 0.0) for place, piece in enumerate(pieces)]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=512)

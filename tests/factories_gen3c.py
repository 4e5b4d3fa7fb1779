"""The smallest GEN3C networks, with random weights: the real classes, a few thousand numbers."""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import torch
from diffusers import AutoencoderKLCosmos, CosmosTransformer3DModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.scheduler import create_scheduler

TEXT_WIDTH = 8


def tiny_transformer(
    seed: int = 0, *, max_size: tuple[int, int, int] = (16, 32, 32)
) -> CosmosTransformer3DModel:
    """Two blocks; takes latent videos up to `max_size`: frames, height, width."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CosmosTransformer3DModel(
            in_channels=82,
            out_channels=16,
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=2,
            mlp_ratio=1.0,
            text_embed_dim=TEXT_WIDTH,
            adaln_lora_dim=4,
            max_size=max_size,
            concat_padding_mask=False,
        )
        # Zeros as they are made would be a network without positions.
        assert model.learnable_pos_embed is not None
        for parameter in model.learnable_pos_embed.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def tiny_vae(seed: int = 0, *, num_latent_frames: int = 16) -> AutoencoderKLCosmos:
    """Narrow, with latent statistics of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(2, 16 * num_latent_frames, generator=generator)
        model = AutoencoderKLCosmos(
            encoder_block_out_channels=(4, 4, 4, 4),
            decode_block_out_channels=(4, 4, 4, 4),
            num_layers=1,
            latents_mean=(0.1 * values[0]).tolist(),
            latents_std=(1 + 0.1 * values[1].abs()).tolist(),
        )
    return model.eval()


def tiny_pipeline(seed: int = 0, *, with_text: bool = False) -> Gen3CPipeline:
    text_encoder, tokenizer = tiny_text_encoder(seed) if with_text else (None, None)
    pipeline = Gen3CPipeline(
        transformer=tiny_transformer(seed),
        vae=tiny_vae(seed),
        scheduler=create_scheduler(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_text_encoder(seed: int = 0) -> tuple[T5EncoderModel, PreTrainedTokenizerFast]:
    """A T5 encoder that knows five words, and their tokenizer."""
    words = ["<pad>", "</s>", "<unk>", "a", "box", "before", "the", "wall"]
    tokens = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, "<unk>"))
    tokens.pre_tokenizer = Whitespace()
    tokens.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = T5Config(
        vocab_size=len(words), d_model=TEXT_WIDTH, d_kv=4, d_ff=8, num_layers=1, num_heads=2
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return T5EncoderModel(config).eval(), tokenizer

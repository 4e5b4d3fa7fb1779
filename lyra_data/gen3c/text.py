"""Text: prompts as T5 embeddings of one fixed length, zeros where there is no token."""

from __future__ import annotations

import logging
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.errors import ParamsError

log = logging.getLogger(__name__)

MAX_TOKENS = 512
"""The network attends to every token, empty ones too, so the length changes results."""


def no_text(
    batch: int, width: int, *, num_tokens: int = MAX_TOKENS
) -> Float[Tensor, "batch token width"]:
    """What running without a text encoder means."""
    return torch.zeros(batch, num_tokens, width)


def pad_text(
    embeddings: Float[Tensor, "batch given width"], *, num_tokens: int = MAX_TOKENS
) -> Float[Tensor, "batch token width"]:
    """Embeddings filled up with zeros.

    Raises:
        ParamsError: they are longer.
    """
    given = embeddings.shape[1]
    if given > num_tokens:
        raise ParamsError(
            f"the prompt's embeddings have {given} tokens, the network takes {num_tokens}",
            fix="embed a shorter prompt",
        )
    return torch.nn.functional.pad(embeddings, (0, 0, 0, num_tokens - given))


def embed_text(
    prompts: list[str],
    tokenizer: Any,
    text_encoder: Any,
    *,
    device: torch.device,
    num_tokens: int = MAX_TOKENS,
) -> Float[Tensor, "batch token width"]:
    """T5 embeddings, zero after a prompt's own tokens. Longer prompts are cut, with a warning."""
    tokens = tokenizer(
        prompts,
        padding="max_length",
        max_length=num_tokens,
        truncation=True,
        return_tensors="pt",
    )
    for prompt, length in zip(prompts, map(len, tokenizer(prompts).input_ids), strict=True):
        if length > num_tokens:
            log.warning("a prompt of %d tokens is cut to %d: %r", length, num_tokens, prompt)
    mask = tokens.attention_mask.to(device)
    embeddings = text_encoder(tokens.input_ids.to(device), attention_mask=mask).last_hidden_state
    return embeddings.float() * mask[:, :, None]

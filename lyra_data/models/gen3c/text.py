"""Text: prompts as T5 embeddings of one fixed length, zeros where there is no token."""

from __future__ import annotations

import logging
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import ParamsError

log = logging.getLogger(__name__)

MAX_TOKENS = 512
"""The network attends to every token, empty ones too, so the length changes results."""


def no_text(
    batch: int, width: int, *, num_tokens: int = MAX_TOKENS
) -> Float[Tensor, "batch token width"]:
    """What running without a text encoder means."""
    return torch.zeros(batch, num_tokens, width)


def fit_text(
    embeddings: Tensor, *, batch: int, width: int, num_tokens: int = MAX_TOKENS
) -> Float[Tensor, "batch token width"]:
    """Given embeddings filled up with zeros; those of one prompt serve the whole batch.

    Raises:
        ParamsError: they are not [1 or batch, token, width], or have too many tokens.
    """
    shape = tuple(embeddings.shape)
    if len(shape) != 3 or shape[0] not in (1, batch) or shape[2] != width:
        raise ParamsError(
            f"the prompt's embeddings have shape {list(shape)}, the network takes "
            f"[{batch}, token, {width}]",
            where="prompt_embeds",
            fix="give the embeddings of one prompt, or of one for each of the batch",
        )
    if shape[1] > num_tokens:
        raise ParamsError(
            f"the prompt's embeddings have {shape[1]} tokens, the network takes {num_tokens}",
            where="prompt_embeds",
            fix="embed a shorter prompt",
        )
    filled = torch.nn.functional.pad(embeddings, (0, 0, 0, num_tokens - shape[1]))
    return filled.expand(batch, -1, -1)


def one_each(prompts: str | list[str], batch: int) -> list[str]:
    """Prompts for each of the batch.

    Raises:
        ParamsError: they are as many as neither one nor the batch.
    """
    given = [prompts] if isinstance(prompts, str) else list(prompts)
    if len(given) not in (1, batch):
        raise ParamsError(
            f"{len(given)} prompts are given for a batch of {batch}",
            where="prompt",
            fix="give one prompt, or one for each of the batch",
        )
    return given * (batch // len(given))


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

"""Text: prompts as T5 embeddings of one fixed length, zeros where there is no token."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import ParamsError

log = logging.getLogger(__name__)

MAX_TOKENS = 512
"""The network attends to every token, empty ones too, so the length changes results."""


@dataclass(frozen=True)
class TextShape:
    """The axes of the embeddings that one call of the network takes."""

    batch: int
    num_tokens: int
    width: int


def create_text(
    prompt: str | list[str] | None,
    embeddings: Tensor | None,
    tokenizer: Any,
    text_encoder: Any,
    shape: TextShape,
    *,
    device: torch.device,
) -> Float[Tensor, "batch token width"]:
    """Return `embeddings` where they are given, else those of the prompt, else zeros.

    Raises:
        ParamsError: a prompt without a text encoder, or embeddings of another shape.
    """
    batch, num_tokens, width = shape.batch, shape.num_tokens, shape.width
    if embeddings is not None:
        return fit_text(embeddings, batch=batch, width=width, num_tokens=num_tokens)
    if prompt is None:
        return no_text(batch, width, num_tokens=num_tokens)
    if text_encoder is None or tokenizer is None:
        raise ParamsError(
            "a prompt is given, but these weights have no text encoder",
            fix="run without a prompt, or convert the weights with the T5 text encoder",
        )
    prompts = one_each(prompt, batch)
    return embed_text(prompts, tokenizer, text_encoder, device=device, num_tokens=num_tokens)


def no_text(
    batch: int, width: int, *, num_tokens: int = MAX_TOKENS
) -> Float[Tensor, "batch token width"]:
    """Return the zeros that running without a text encoder means."""
    return torch.zeros(batch, num_tokens, width)


def fit_text(
    embeddings: Tensor, *, batch: int, width: int, num_tokens: int = MAX_TOKENS
) -> Float[Tensor, "batch token width"]:
    """Return embeddings filled up with zeros; those of one prompt serve the whole batch.

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
    """Return a prompt for each of the batch.

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
    """Return T5 embeddings, zero after a prompt's own tokens; cut longer ones, with a warning."""
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

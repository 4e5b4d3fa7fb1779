"""The transformer block: pre-norm full self-attention and MLP, no positional embedding."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lyra_model.decoder.mamba2 import RMSNorm

NORM_EPSILON = 1e-6


class TransformerBlock(nn.Module):
    """x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x)).

    Args:
        dim: width of a token.
        num_heads: attention heads.
        mlp_ratio: hidden width of the MLP in units of `dim`.
        normalise_queries: RMS-normalise queries and keys of each head (`use_qk_norm` in the
            reference; False in every released checkpoint).
    """

    def __init__(
        self, dim: int, num_heads: int, mlp_ratio: int, *, normalise_queries: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.attn = Attention(dim, num_heads, normalise_queries=normalise_queries)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.mlp = MultiLayerPerceptron(dim, mlp_ratio * dim)

    def forward(
        self, x: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token channel"]:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Full self-attention over all tokens, scaled by 1/sqrt(channels of a head)."""

    def __init__(self, dim: int, num_heads: int, *, normalise_queries: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        head_dim = dim // num_heads
        self.q_norm = self.k_norm = nn.Identity()
        if normalise_queries:
            self.q_norm = RMSNorm(head_dim, epsilon=NORM_EPSILON)
            self.k_norm = RMSNorm(head_dim, epsilon=NORM_EPSILON)

    def forward(
        self, x: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token channel"]:
        queries, keys, values = rearrange(
            self.qkv(x),
            "batch token (part head c) -> part batch head token c",
            part=3,
            head=self.num_heads,
        )
        attended = F.scaled_dot_product_attention(self.q_norm(queries), self.k_norm(keys), values)
        return self.proj(rearrange(attended, "batch head token c -> batch token (head c)"))


class MultiLayerPerceptron(nn.Module):
    """Two layers with the exact (erf) GELU between them."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(
        self, x: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token channel"]:
        return self.fc2(F.gelu(self.fc1(x)))

"""Recognition: what model a checkpoint looks like, for the message when it is the wrong one."""

from __future__ import annotations

import re
from collections.abc import Iterable

SIGNS = (
    ("GEN3C's or another Cosmos-Predict1 network", r"(net\.)?blocks\.block\d+\.blocks\.\d"),
    ("a Cosmos tokenizer", r"(encoder\.(down|mid)|decoder\.(up|mid))[._].*conv3d"),
    ("a converted (diffusers) Cosmos network", r"transformer_blocks\.\d+\.attn1\.to_q"),
    ("a converted (diffusers) Cosmos tokenizer", r"encoder\.down_blocks\.\d+\.resnets.*conv_s"),
    ("a Lyra 3D Gaussian decoder", r".*(in_proj|mixer\.A_log|deconv|dt_bias)"),
    ("a Cosmos-Predict2 network", r"(net\.)?blocks\.\d+\.(self_attn|adaln_modulation)"),
    ("a T5 text encoder", r"(encoder|decoder)\.block\.\d+\.layer\.\d"),
    ("a MoGe depth model", r"(backbone|head|encoder)\.(blocks|projects|backbone)\.\d*"),
    ("a FLUX network", r"(double|single)_blocks\.\d+"),
    ("a Stable Diffusion checkpoint", r"model\.diffusion_model\."),
)
"""Names of models, each with a pattern that the start of some weight's name fits."""


def recognise(names: Iterable[str]) -> str | None:
    """Return the model that weights of these names belong to, in words; None where none is
    known."""
    names = list(names)
    for model, pattern in SIGNS:
        if any(re.match(pattern, name) for name in names):
            return model
    return None

"""The fingerprint of a tokenizer: of the codec `cosmos`, and of teachers whose latents it
decodes."""

from __future__ import annotations

from pathlib import Path

from lyra_data.models.gen3c.loading import require_weights
from lyra_data.models.weights.manifest import weights_fingerprint


def tokenizer_fingerprint(folder: Path) -> str:
    """Return `cosmos-1` and the hash of an autoencoder's folder.

    Raises:
        ParamsError: the weights are not there.
    """
    require_weights(folder, "config.json")
    return f"cosmos-1 {weights_fingerprint(folder)}"

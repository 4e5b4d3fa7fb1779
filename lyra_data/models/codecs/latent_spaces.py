"""Tell latents of one space from those of another, and bring normalised ones to their codec's.

Lyra's data generation saves latents of `cosmos` normalised: (latents - mean) / std * 0.5, per
channel and latent frame. They are kept so, under a name of their own, since undoing it is not exact
in float32; whoever reads them for `cosmos` gets what `cosmos` encodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_data.scene.view import View

COSMOS = "cosmos"
"""Name of CosmosCodec, whose module is imported by name alone, as every codec's."""

NORMALISED_COSMOS = "cosmos-tokenize1-cv8x8x8-720p-normalised"
NORMALISED_COSMOS_FINGERPRINT = "lyra-1: (latents - mean) / std * 0.5, per channel and latent frame"


@dataclass(frozen=True)
class LatentSpace:
    """The space that latents are read in, where they are stored normalised.

    Attributes:
        codec, codec_fingerprint: the codec whose latents they become.
        statistics: undo the normalisation.
    """

    codec: str
    codec_fingerprint: str
    statistics: LatentStatistics

    def latents_of(
        self, stored: Float[Tensor, "channel latent_frame latent_height latent_width"], where: str
    ) -> Float[Tensor, "channel latent_frame latent_height latent_width"]:
        """Return float32 latents of the codec.

        Args:
            where: what the latents are of, for messages.

        Raises:
            InputError: the codec has no statistics for that many channels or latent frames.
        """
        channels, longest = self.statistics.mean.shape
        if stored.shape[0] != channels or stored.shape[1] > longest:
            raise InputError(
                f"normalised latents of {stored.shape[0]} channels and {stored.shape[1]} latent "
                f"frames, but the codec's statistics are of {channels} and {longest}",
                where=where,
                fix="use the weights of Cosmos-Tokenize1-CV8x8x8-720p, and clips of at most "
                f"{8 * longest - 7} frames",
            )
        return self.statistics.denormalise(stored.float()[None])[0]


def is_of(codec: LatentCodec, name: str, fingerprint: str) -> bool:
    """Return whether latents that state this name and fingerprint are the codec's own."""
    return (name, fingerprint) == (codec.name, codec.fingerprint)


def space_of_normalised(codec: LatentCodec, name: str, fingerprint: str) -> LatentSpace | None:
    """Return how latents of this name and fingerprint become the codec's; None: they never do.

    Raises:
        ParamsError: they would, and the codec's weights are not there.
    """
    normalised = (NORMALISED_COSMOS, NORMALISED_COSMOS_FINGERPRINT)
    if codec.name != COSMOS or (name, fingerprint) != normalised:
        return None
    cosmos: Any = codec
    return LatentSpace(codec.name, codec.fingerprint, cosmos.statistics)


def view_in_space_of(view: View, codec: LatentCodec) -> View | None:
    """Return the view with latents of the codec; None: its latents are of another space.

    Raises:
        InputError: as `LatentSpace.latents_of`.
        ParamsError: its latents are normalised ones, and the codec's weights are not there.
    """
    stated = view.provenance["codec"], view.provenance["codec_fingerprint"]
    if is_of(codec, *stated):
        return view
    space = space_of_normalised(codec, *stated)
    if space is None:
        return None
    latents = space.latents_of(view.latents, f"scene {view.scene_id}, view {view.view_index}")
    named = {"codec": space.codec, "codec_fingerprint": space.codec_fingerprint}
    return replace(view, latents=latents, provenance={**view.provenance, **named})

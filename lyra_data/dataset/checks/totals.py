"""Check what only the whole dataset shows: statistics of the manifest, sources in one split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lyra_data.dataset.checks import bounds
from lyra_data.dataset.checks.locations import DatasetFinding, dataset_finding
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.writing.packed_scene import latent_sums_of, rgb_sums_of
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.packing.channel_statistics import ChannelStatistics, ChannelSums, add_sums
from lyra_data.views.fields import Row


class Totals:
    """Sums and sources of all scenes, taken one after another; memory grows by some bytes each."""

    def __init__(self) -> None:
        self._latents: ChannelSums | None = None
        self._colours: ChannelSums | None = None
        self._splits: dict[str, dict[str, str]] = {}

    def add(self, entry: SceneEntry, rows: Sequence[Row], thumbnails: Sequence[bytes]) -> None:
        """Add a scene.

        Args:
            thumbnails: the first frames as small PNGs, a view each.
        """
        colours = rgb_sums_of(rows)
        if "latent_mean" in rows[0]:  # a part of a dataset may have no latents
            latents = latent_sums_of(rows)
            self._latents = latents if self._latents is None else add_sums([self._latents, latents])
        self._colours = colours if self._colours is None else add_sums([self._colours, colours])
        pictures = {f"picture {sha256_of_bytes(data)[:16]}" for data in thumbnails}
        for name in {f"source {row['source_id']}" for row in rows} | pictures:
            self._splits.setdefault(name, {}).setdefault(entry.split, entry.scene_id)

    def findings(self, manifest: Manifest) -> list[DatasetFinding]:
        """Return what the sums and sources of all scenes show."""
        return [
            *_compared("latents", self._latents, manifest.latent_channels),
            *_compared("frames", self._colours, manifest.rgb_channels),
            *self._leaks(),
        ]

    def _leaks(self) -> list[DatasetFinding]:
        reported: set[tuple[str, ...]] = set()
        findings = []
        for name, splits in sorted(self._splits.items(), reverse=True):  # sources before pictures
            scenes = tuple(sorted(splits.values()))
            if len(splits) > 1 and scenes not in reported:
                reported.add(scenes)
                where = ", ".join(f"{scene} in {split}" for split, scene in sorted(splits.items()))
                findings.append(dataset_finding("split-leak", f"{name}: {where}"))
        return findings


def _compared(
    what: str, sums: ChannelSums | None, stated: Sequence[ChannelStatistics]
) -> list[DatasetFinding]:
    if sums is None:
        return []
    ours = np.array([(channel.mean, channel.std) for channel in sums.statistics()])
    theirs = np.array([(channel.mean, channel.std) for channel in stated])
    if ours.shape != theirs.shape:
        message = f"{what}: {len(theirs)} channels are stated, the rows have {len(ours)}"
        return [dataset_finding("statistics", message)]
    off = np.abs(ours - theirs) / np.maximum(ours[:, 1:], 1e-9)
    if off.max() <= bounds.STATISTICS:
        return []
    channel = int(off.max(axis=1).argmax())
    message = (
        f"{what}, channel {channel}: mean {theirs[channel, 0]:.6g}, deviation "
        f"{theirs[channel, 1]:.6g}; the rows give {ours[channel, 0]:.6g} and {ours[channel, 1]:.6g}"
    )
    return [dataset_finding("statistics", message, value=float(off.max()))]

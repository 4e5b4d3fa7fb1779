"""Compute mean and deviation of every channel, for a view's row and a dataset's manifest.

Sums of a dataset are always taken from what rows state, so that a dataset put together of others'
rows has the statistics that packaging would have given it, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and deviation of one channel of latents or frames."""

    mean: float
    std: float


@dataclass(frozen=True)
class ChannelSums:
    """Sums over some views, per channel; mean and deviation follow from them."""

    count: int
    total: tuple[float, ...]
    squares: tuple[float, ...]

    @staticmethod
    def of_row(count: int, mean: Sequence[float], std: Sequence[float]) -> ChannelSums:
        """Return the sums of a view whose row states these; `count` values a channel."""
        return ChannelSums(
            count,
            tuple(count * one for one in mean),
            tuple(count * (spread**2 + one**2) for one, spread in zip(mean, std, strict=True)),
        )

    def statistics(self) -> tuple[ChannelStatistics, ...]:
        means = [total / self.count for total in self.total]
        variances = [
            max(square / self.count - mean**2, 0.0)
            for square, mean in zip(self.squares, means, strict=True)
        ]
        return tuple(
            ChannelStatistics(mean, math.sqrt(variance))
            for mean, variance in zip(means, variances, strict=True)
        )


def add_sums(sums: Iterable[ChannelSums]) -> ChannelSums:
    """Add the sums of several views or scenes, in order."""
    parts = list(sums)
    return ChannelSums(
        sum(part.count for part in parts),
        tuple(map(sum, zip(*(part.total for part in parts), strict=True))),
        tuple(map(sum, zip(*(part.squares for part in parts), strict=True))),
    )


def channel_sums(values: Float[np.ndarray, "channel ..."]) -> ChannelSums:
    """Return the sums of an array, its channels first."""
    wide = values.astype(np.float64).reshape(len(values), -1)
    return ChannelSums(
        wide.shape[1], tuple(wide.sum(axis=1).tolist()), tuple((wide**2).sum(axis=1).tolist())
    )


class PictureStatistics:
    """Statistics of pictures, uint8 [height, width, 3], counted as they pass; exact."""

    def __init__(self) -> None:
        self._histograms = np.zeros((3, 256), np.int64)

    def through(self, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for picture in pictures:
            self.add(picture)
            yield picture

    def add(self, picture: np.ndarray) -> None:
        for counts, plane in zip(self._histograms, np.moveaxis(picture, 2, 0), strict=True):
            counts += np.bincount(plane.reshape(-1), minlength=256)

    def statistics(self) -> tuple[ChannelStatistics, ...]:
        """Return those of red, green and blue, in levels of 255."""
        levels = np.arange(256)
        channels = []
        for counts in self._histograms:
            mean = float(counts @ levels) / int(counts.sum())
            channels.append(
                ChannelStatistics(mean, math.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
            )
        return tuple(channels)

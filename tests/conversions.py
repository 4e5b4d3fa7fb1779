"""Conversions as the command makes them, without its bar and its summary."""

from __future__ import annotations

from pathlib import Path

from lyra_data.dataset.convert.from_lyra import Converted, FromLyraSettings, convert_from_lyra
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.convert.lyra_source import LyraSource
from lyra_data.dataset.convert.to_lyra import WrittenLyra, convert_to_lyra
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.progress import silent


def convert(
    source: Path, output: Path, *, repair: bool = False, latents="half", skip_broken: bool = False
) -> tuple[Manifest, Converted]:
    settings = FromLyraSettings(ClipSettings(repair, latents), 8, skip_broken)
    with LyraSource(source) as found:
        return convert_from_lyra(
            found, output, settings, scratch=output.parent / ".work", progress=silent
        )


def write_back(dataset: Path, output: Path) -> WrittenLyra:
    return convert_to_lyra(SceneDataset(dataset), output, silent)

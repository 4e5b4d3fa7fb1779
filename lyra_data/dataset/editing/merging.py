"""Merge datasets of one kind into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lyra_data.dataset.editing.copying import CopiedScene, require_target, write_copies
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import checked_name
from lyra_data.engine.progress import Progress
from lyra_data.views.dropped import DroppedView


@dataclass(frozen=True)
class Merged:
    """The merged dataset.

    Attributes:
        moved: scenes whose split was changed: their source was in another split of an earlier
            dataset.
    """

    manifest: Manifest
    moved: tuple[str, ...]


def merge_datasets(
    datasets: Sequence[OpenedDataset],
    target: Path,
    *,
    prefixes: Sequence[str] | None,
    scenes_per_shard: int | None,
    progress: Progress,
) -> Merged:
    """Write the scenes of all datasets, one after another, as the dataset `target`.

    Scenes stay in their splits; only a source that an earlier dataset has in another split follows
    it there, so that no source is both trained and validated on.

    Args:
        prefixes: put before the names of each dataset's scenes; None: nothing.

    Raises:
        InputError: as `write_copies`; or codecs or encodings differ, or scenes have one name.
    """
    require_target(target, datasets)
    for dataset in datasets[1:]:
        _require_same_kind(datasets[0], dataset)
    copies: list[CopiedScene] = []
    dropped: list[DroppedView] = []
    owners: dict[str, str] = {}
    splits: dict[str, str] = {}
    moved = []
    for dataset, prefix in zip(datasets, prefixes or [""] * len(datasets), strict=True):
        for entry in dataset.scenes:
            name = checked_name(
                prefix + entry.scene_id, noun="scene", where="--prefix", error=InputError
            )
            if name in owners:
                raise InputError(
                    f"scene {name!r} is in {owners[name]} too",
                    where=dataset.uri,
                    fix="give a --prefix for each dataset, e.g. --prefix first- --prefix second-",
                )
            owners[name] = dataset.uri
            split = splits.setdefault(dataset.source_of(entry), entry.split)
            if split != entry.split:
                moved.append(name)
            copies.append(
                CopiedScene(dataset, entry, views=entry.view_indices, split=split, scene_id=name)
            )
        dropped += [
            replace(view, scene_id=prefix + view.scene_id) for view in dataset.manifest.dropped
        ]
    manifest = write_copies(
        copies,
        target,
        command={"verb": "merge", **({"prefixes": list(prefixes)} if prefixes else {})},
        inputs=datasets,
        dropped=dropped,
        scenes_per_shard=scenes_per_shard or datasets[0].scenes_per_shard,
        progress=progress,
    )
    return Merged(manifest, tuple(moved))


def _require_same_kind(first: OpenedDataset, other: OpenedDataset) -> None:
    one, two = first.manifest, other.manifest
    if one.codec != two.codec:
        raise InputError(
            f"its latents are of codec {two.codec.name} ({two.codec.fingerprint}), those of "
            f"{first.uri} of {one.codec.name} ({one.codec.fingerprint}): another latent space",
            where=other.uri,
            fix="generate one of them again with the other's codec, or keep them apart",
        )
    if first.modalities != other.modalities:
        raise InputError(
            f"it has {', '.join(other.modalities)}; {first.uri} has {', '.join(first.modalities)}",
            where=other.uri,
            fix="pull both with the same --modalities",
        )
    for key, kind in one.encoding.items():
        if two.encoding[key] != kind:
            raise InputError(
                f"{key} is encoded as {two.encoding[key]}, in {first.uri} as {kind}; a dataset has "
                "one encoding",
                where=other.uri,
                fix=f"package one of them again with `package.{key}: {kind}`",
            )

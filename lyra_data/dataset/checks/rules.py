"""List every rule for packaged datasets by its name. docs/dataset-tools.md is this table.

Views are held to the rules for clips too; those come last here, with what to do about a view.
"""

from __future__ import annotations

from lyra_data.clips.checks.rules import RULES
from lyra_data.dataset.checks import bounds
from lyra_data.dataset.format.layout import NESTED_BYTES_LIMIT
from lyra_data.engine.findings import Rule, RuleTable, Severity

FETCH = "fetch the file again (`dvc checkout`), or run `lyra-data package` again"
AGAIN = "run `lyra-data package` again"
LEAVE_OUT = "generate the view again, or leave it out with `lyra-data filter`"

VIEW_RULES = (
    "frame-rate",
    "array-shapes",
    "pose-finite",
    "pose-last-row",
    "pose-rotation",
    "pose-mirrored",
    "translation-jump",
    "rotation-jump",
    "principal-point",
    "focal-length",
    "focal-ratio",
    "zoom-jump",
    "depth-values",
    "depth-known",
    "depth-range",
    "blank-frames",
    "frozen-frames",
    "reprojection",
    "reprojection-places",
    "depth-agreement",
    "reprojection-unknown",
)
"""Rules for clips that a view is held to as well. A path may come back to where it was, so frames
may come again."""


def _rule(name: str, severity: Severity, bound: str, meaning: str, remedy: str) -> Rule:
    return Rule(name, "dataset", severity, bound, meaning, remedy)


def _of_view(name: str) -> Rule:
    rule = RULES[name]
    remedy = rule.remedy if rule.severity == "note" else LEAVE_OUT
    return _rule(name, rule.severity, rule.bound, rule.meaning, remedy)


_ALL = (
    _rule(
        "manifest",
        "error",
        "meta/manifest.json as written, of this version",
        "the manifest was cut, altered or is of another version: nothing else can be told",
        FETCH,
    ),
    _rule(
        "file-hashes",
        "error",
        "every file there, its size and sha256 as the manifest states",
        "a file is missing, cut or altered; the finding names the first wrong bytes",
        FETCH,
    ),
    _rule(
        "part-hashes",
        "error",
        "the xxh3 that the index states, of every part",
        "a file is as the manifest states, and its index is another's",
        FETCH,
    ),
    _rule(
        "unlisted-files",
        "warning",
        "no file below data/ that the manifest does not name",
        "a file belongs to no dataset, and `load_dataset` would read it",
        "remove the file",
    ),
    _rule(
        "row-counts",
        "error",
        "the rows and row groups that the manifest states, the same in every modality",
        "files hold other rows than the manifest or another modality states",
        AGAIN,
    ),
    _rule(
        "row-group-size",
        "warning",
        f"videos and pictures of a row group below {NESTED_BYTES_LIMIT // 2**30} GiB",
        "lyra-data trains on the scene; pyarrow, pandas, `load_dataset` and `filter`, which copies "
        "it, cannot read a column of such size",
        "package it again: its views go to several row groups; where one view is so large, encode "
        "it with losses (package.rgb: train)",
    ),
    _rule(
        "frame-counts",
        "error",
        "num_frames, in every modality, and 8k+1 of them",
        "modalities of a view have different numbers of frames, or frames of different size, or "
        "their number fits no latents",
        AGAIN,
    ),
    _rule(
        "encodings",
        "error",
        "the encoding that the manifest states",
        "a blob is encoded in another way than the dataset",
        AGAIN,
    ),
    _rule(
        "unreadable",
        "error",
        "every blob decodes",
        "a part has its hash and is nothing that can be decoded",
        AGAIN,
    ),
    _rule(
        "statistics",
        "error",
        f"within {bounds.STATISTICS:g} of the deviation",
        "the manifest's means and deviations of channels are not those of the rows",
        AGAIN,
    ),
    _rule(
        "latent-values",
        "error",
        "finite",
        "latents hold values that are no numbers",
        LEAVE_OUT,
    ),
    _rule(
        "latent-axes",
        "error",
        "channel, latent_frame, latent_height, latent_width; neighbours in time alike, neighbours "
        f"in channel not: correlations apart by less than {bounds.TRANSPOSED:g}",
        "latents have other axes than they state: channels and time are perhaps exchanged",
        "encode the frames again with `lyra-data generate`",
    ),
    _rule(
        "latent-statistics",
        "error",
        f"mean and deviation of every channel within {bounds.LATENT_STATISTICS:g} of the deviation",
        "latents are not those that the row's statistics were taken of",
        AGAIN,
    ),
    _rule(
        "rgb-statistics",
        "error",
        f"mean and deviation of every channel within {bounds.RGB_STATISTICS:g} of 255 levels",
        "frames are not those that the row's statistics were taken of",
        AGAIN,
    ),
    _rule(
        "shares",
        "error",
        f"known_fraction and depth_valid_fraction within {bounds.SHARES:g}",
        "a share that the row states is not that of its masks",
        AGAIN,
    ),
    _rule(
        "motion-reversed",
        "error",
        "surfaces are where the other direction's frames of the same time show them "
        f"({bounds.GONE:.1%} may be gone), or colours as like those as frames of the same number: "
        f"differences at most {bounds.REVERSED:g} times theirs",
        "a view that states motion_reversed does not run backwards, or its cameras do",
        "generate the view again; Lyra's released clips have this fault",
    ),
    _rule(
        "split-leak",
        "error",
        "every source in one split",
        "views of one photo or video are both trained and validated on",
        "deal the splits out again with `lyra-data split`",
    ),
    *map(_of_view, VIEW_RULES),
)

DATASET_RULES = RuleTable(_ALL)

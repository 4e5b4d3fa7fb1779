"""List the licences that are known here, and recognise one by what somebody wrote.

What a licence allows is read from its text; where the text was not at hand, from the copy that
`read_in` names. A licence that is not listed is unknown: nothing is concluded from its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lyra_data.engine.errors import InputError
from lyra_data.engine.params import suggestion
from lyra_data.sharing.licences.licence import ALL_RIGHTS_RESERVED, OTHER, Licence

NVIDIA_OPEN_MODEL = "nvidia-open-model"
FLUX_NON_COMMERCIAL = "flux-1-dev-non-commercial"
APPLE_RESEARCH = "apple-amlr"
MIDDLEBURY = "middlebury-stereo"
PERMISSION = "permission"
RESEARCH_ONLY = "research-only"

_CREATIVE_COMMONS = {
    "CC-BY": "Attribution",
    "CC-BY-SA": "Attribution-ShareAlike",
    "CC-BY-NC": "Attribution-NonCommercial",
    "CC-BY-NC-SA": "Attribution-NonCommercial-ShareAlike",
    "CC-BY-ND": "Attribution-NoDerivatives",
    "CC-BY-NC-ND": "Attribution-NonCommercial-NoDerivatives",
}
_VERSIONS = ("2.0", "2.5", "3.0", "4.0")
_HUB_CREATIVE_COMMONS = {
    *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
    *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
}
"""The spellings in the Hub's list of licences (its documentation: repositories-licenses)."""


def _creative_commons() -> Iterator[Licence]:
    for family, words in _CREATIVE_COMMONS.items():
        parts = family.split("-")
        for version in _VERSIONS:
            identifier = f"{family}-{version}"
            hub_name = identifier.lower()
            path = family.removeprefix("CC-").lower()
            yield Licence(
                identifier=identifier,
                title=f"Creative Commons {words} {version}",
                is_spdx=True,
                hub_name=hub_name if hub_name in _HUB_CREATIVE_COMMONS else OTHER,
                link=f"https://creativecommons.org/licenses/{path}/{version}/",
                redistribution="yes",
                commercial="no" if "NC" in parts else "yes",
                research_only=False,
                adaptations="ND" not in parts,
                attribution="required",
                share_alike="SA" in parts,
                outputs="",
                read_in="its text",
            )


def _free(identifier: str, title: str, link: str, *, asks_notice: bool = True) -> Licence:
    """Return a licence that allows everything, and asks for its notice at most."""
    return Licence(
        identifier=identifier,
        title=title,
        is_spdx=True,
        hub_name=identifier.lower(),
        link=link,
        redistribution="yes",
        commercial="yes",
        research_only=False,
        adaptations=True,
        attribution="required" if asks_notice else "none",
        share_alike=False,
        outputs="",
        read_in="its text",
    )


_NAMED = (
    Licence(
        identifier=NVIDIA_OPEN_MODEL,
        title="NVIDIA Open Model License",
        is_spdx=False,
        hub_name=OTHER,
        link="https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license/",
        redistribution="yes",
        commercial="yes",
        research_only=False,
        adaptations=True,
        attribution="required",
        share_alike=False,
        outputs="NVIDIA claims no ownership of outputs. Whoever trains a model on outputs of a "
        'Cosmos model shows "Built on NVIDIA Cosmos". The rights end where a guardrail of the '
        "model is switched off without one of like effect.",
        read_in="its text: versions of 2025-01-06 and 2025-10-24",
    ),
    Licence(
        identifier=FLUX_NON_COMMERCIAL,
        title="FLUX.1 [dev] Non-Commercial License",
        is_spdx=False,
        hub_name=OTHER,
        link="https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md",
        redistribution="yes",
        commercial="no",
        research_only=False,
        adaptations=True,
        attribution="required",
        share_alike=False,
        outputs="Outputs may be used for any purpose, also for profit, except as the licence "
        "prohibits; not to train a model that competes with FLUX.1 [dev]. The model itself may "
        "not be used for profit, and readers differ over what that means for pictures made by it.",
        read_in="section 2(d), as quoted in discussions of the model's repository",
    ),
    Licence(
        identifier=APPLE_RESEARCH,
        title="Apple Machine Learning Research Model License",
        is_spdx=False,
        hub_name="apple-amlr",
        link="https://huggingface.co/apple/DepthPro/blob/main/LICENSE",
        redistribution="yes",
        commercial="no",
        research_only=True,
        adaptations=True,
        attribution="required",
        share_alike=False,
        outputs="",
        read_in="cards of apple/DepthPro and apple/DepthPro-hf (apple-amlr since 2025-02-28), and "
        "copies of the licence: research purposes alone",
    ),
    Licence(
        identifier=MIDDLEBURY,
        title="Middlebury stereo data",
        is_spdx=False,
        hub_name=OTHER,
        link="https://vision.middlebury.edu/stereo/data/",
        redistribution="yes",
        commercial="unstated",
        research_only=False,
        adaptations=True,
        attribution="asked",
        share_alike=False,
        outputs="",
        read_in="the data's page: \"We grant permission to use and publish all images and "
        'disparity maps on this website", with the request to cite; scikit-image, which ships the '
        "pair, names the data and its authors and no other terms",
    ),
    Licence(
        identifier=PERMISSION,
        title="Permission of the rights holder",
        is_spdx=False,
        hub_name=OTHER,
        link="",
        redistribution="yes",
        commercial="unstated",
        research_only=False,
        adaptations=True,
        attribution="asked",
        share_alike=False,
        outputs="",
        read_in="the publisher's statement that the rights holder allows this publication",
    ),
    Licence(
        identifier=RESEARCH_ONLY,
        title="For research alone, without profit",
        is_spdx=False,
        hub_name=OTHER,
        link="",
        redistribution="yes",
        commercial="no",
        research_only=True,
        adaptations=True,
        attribution="required",
        share_alike=False,
        outputs="",
        read_in="this very name",
    ),
    Licence(
        identifier=ALL_RIGHTS_RESERVED,
        title="All rights reserved",
        is_spdx=False,
        hub_name=OTHER,
        link="",
        redistribution="no",
        commercial="no",
        research_only=True,
        adaptations=False,
        attribution="required",
        share_alike=False,
        outputs="",
        read_in="this very name",
    ),
)

LICENCES: Mapping[str, Licence] = {
    licence.identifier: licence
    for licence in (
        _free("Apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
        _free("MIT", "MIT License", "https://opensource.org/license/mit"),
        _free("BSD-2-Clause", "BSD 2-Clause", "https://opensource.org/license/bsd-2-clause"),
        _free("BSD-3-Clause", "BSD 3-Clause", "https://opensource.org/license/bsd-3-clause"),
        _free(
            "CC0-1.0",
            "Creative Commons Zero 1.0",
            "https://creativecommons.org/publicdomain/zero/1.0/",
            asks_notice=False,
        ),
        *_creative_commons(),
        *_NAMED,
    )
}

_ALIASES = {
    "cc0": "CC0-1.0",
    "apache-2": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache-license-2.0": "Apache-2.0",
    "mit-license": "MIT",
    "nvidia-open-model-license": NVIDIA_OPEN_MODEL,
    "flux-1-dev-non-commercial-license": FLUX_NON_COMMERCIAL,
    "middlebury-stereo-data": MIDDLEBURY,
}
_MIDDLEBURY_WORDS = "Middlebury stereo data;"
"""The beginning of the licence of the built-in picture `motorcycle` (sources/motorcycle.py)."""


def recognise_licence(words: str) -> Licence | None:
    """Return the licence that the words of a source name; None where they name none known here.

    Case, blanks and "_" make no difference: "cc by 4.0" is CC-BY-4.0. A family without its version
    ("CC-BY") is not known: the versions differ.
    """
    if words.startswith(_MIDDLEBURY_WORDS):
        return LICENCES[MIDDLEBURY]
    spelt = (
        re.sub(r"[\s_\[\]()]+", "-", words.strip().lower()).strip("-").replace("flux.1", "flux-1")
    )
    spelt = re.sub(r"-+", "-", spelt)
    by_spelling = {name.lower(): licence for name, licence in LICENCES.items()}
    return by_spelling.get(_ALIASES.get(spelt, spelt).lower())


def require_licence(words: str, *, where: str) -> Licence:
    """Return the licence that somebody chose or stated.

    Args:
        where: the params key or option that it stands in.

    Raises:
        InputError: it is not known here; the nearest known ones are named.
    """
    licence = recognise_licence(words)
    if licence is None:
        raise InputError(
            f"the licence {words!r} is not known here",
            where=where,
            fix=f"{suggestion(words, list(LICENCES))}; `{PERMISSION}` stands for terms of your own "
            "with the rights holder",
        )
    return licence

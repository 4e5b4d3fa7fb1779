"""Write the part of a card that says under which licences it stands, and those it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lyra_data.sharing.cards.markdown import plain, table
from lyra_data.sharing.licences.conflicts import conflicts_of
from lyra_data.sharing.licences.guardrail import GuardrailState
from lyra_data.sharing.licences.known import LICENCES
from lyra_data.sharing.licences.licence import OTHER, Licence
from lyra_data.sharing.licences.uses import Use

LICENCE_FILE = "LICENSE"
MOST_LISTED = 50
"""Lines of a list: a dataset of many sources may have a licence for each of them."""

_COSMOS_NOTICE = "Built on NVIDIA Cosmos"


def licence_metadata(licence: Licence | None) -> dict[str, Any]:
    """Return the Hub's metadata of a licence; nothing where none is stated."""
    if licence is None:
        return {}
    if licence.hub_name != OTHER:
        return {"license": licence.hub_name}
    return {
        "license": OTHER,
        "license_name": licence.identifier.lower(),
        "license_link": licence.link or LICENCE_FILE,
    }


def licence_files(licence: Licence | None) -> dict[str, bytes]:
    """Return the file that the metadata link to, of a licence whose text stands nowhere else."""
    if licence is None or licence.link:
        return {}
    grants = {
        "passing it on": licence.redistribution == "yes",
        "changing it": licence.adaptations,
        "use for profit": licence.commercial == "yes",
        "use beyond research": not licence.research_only,
    }
    lines = [licence.title, ""]
    lines += [f"{use}: {'yes' if given else 'no'}" for use, given in grants.items()]
    lines += ["", "README.md names the licences of the sources and models it rests on."]
    return {LICENCE_FILE: ("\n".join(lines) + "\n").encode()}


def licence_section(
    licence: Licence | None,
    uses: Sequence[Use],
    guardrails: Sequence[GuardrailState],
    *,
    noun: str,
) -> list[str]:
    """Return the lines of the section.

    Args:
        noun: the thing that is published: dataset, model, scene.
    """
    titles = ["needed for it", "name", "licence", "for profit", "known from", "views"]
    columns = len(titles) if noun == "dataset" else -1
    credit = dict.fromkeys(use.dependency.credit for use in uses if use.dependency.credit)
    terms = _terms_of_outputs(uses)
    lines = ["## Licences", "", _chosen(licence, noun), ""]
    lines += table(titles[:columns], [_row(use)[:columns] for use in uses[:MOST_LISTED]])
    lines += _rest(len(uses))
    lines += _listed("Whom the sources ask to name:", [plain(one, 500) for one in credit])
    lines += _listed(
        "What the models' licences say of what the models make:",
        [f"{one.title}: {one.outputs}" for one in terms],
    )
    if any(_COSMOS_NOTICE in one.outputs for one in terms):
        lines += [f"**{_COSMOS_NOTICE}.**", ""]
    lines += _listed("Guardrails of teachers:", [plain(state) for state in guardrails])
    if licence is not None:
        found = conflicts_of(uses, licence, holds_copies=noun != "model")
        problems = [f"{plain(one.use.dependency.title)}: {plain(one.problem)}" for one in found]
        lines += _listed("What stands against this licence:", problems)
    return lines


def _terms_of_outputs(uses: Sequence[Use]) -> list[Licence]:
    """Return the licences of models that say something of what the models make."""
    needed = (use.dependency for use in uses if use.dependency.role != "source")
    names = dict.fromkeys(one.licence for one in needed if one.licence)
    return [LICENCES[name] for name in names if LICENCES[name].outputs]


def _listed(heading: str, items: Sequence[str]) -> list[str]:
    """Return a heading and a list; nothing where there is nothing to list."""
    if not items:
        return []
    lines = [heading, "", *(f"- {item}" for item in items[:MOST_LISTED]), ""]
    return lines + _rest(len(items))


def _rest(count: int) -> list[str]:
    return [f"And {count - MOST_LISTED} more.", ""] if count > MOST_LISTED else []


def _chosen(licence: Licence | None, noun: str) -> str:
    if licence is None:
        return f"No licence is stated for this {noun}: nobody is granted anything."
    title = f"[{licence.title}]({licence.link})" if licence.link else licence.title
    return f"This {noun}: {title} (`{licence.identifier}`)."


def _row(use: Use) -> list[object]:
    needed = use.dependency
    licence = LICENCES.get(needed.licence)
    name = needed.name + (f" at {needed.revision[:16]}" if needed.revision else "")
    unknown = "unknown" + (f": {needed.words}" if needed.role == "source" and needed.words else "")
    return [
        needed.role,
        plain(name),
        (f"{licence.title} (`{licence.identifier}`)" if licence else plain(unknown)),
        {"yes": "yes", "no": "no", "unstated": "no limit stated"}[licence.commercial]
        if licence
        else "unknown",
        plain(needed.known_from or "nowhere"),
        use.num_views,
    ]

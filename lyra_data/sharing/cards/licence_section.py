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
    lines = ["## Licences", "", _chosen(licence, noun), ""]
    titles = ["needed for it", "name", "licence", "for profit", "known from", "views"]
    columns = len(titles) if noun == "dataset" else -1
    lines += table(titles[:columns], [_row(use)[:columns] for use in uses])
    credits_ = dict.fromkeys(use.dependency.credit for use in uses if use.dependency.credit)
    if credits_:
        lines += ["Whom the sources ask to name:", ""]
        lines += [*(f"- {plain(credit, 500)}" for credit in credits_), ""]
    outputs = dict.fromkeys(
        use.dependency.licence for use in uses if use.dependency.role != "source"
    )
    told = [LICENCES[name] for name in outputs if name and LICENCES[name].outputs]
    if told:
        lines += ["What the models' licences say of what the models make:", ""]
        lines += [*(f"- {one.title}: {one.outputs}" for one in told), ""]
    if any("cosmos" in one.outputs.lower() for one in told):
        lines += [f"**{_COSMOS_NOTICE}.**", ""]
    if guardrails:
        lines += ["Guardrails of teachers:", ""]
        lines += [*(f"- {plain(state)}" for state in guardrails), ""]
    if licence is not None:
        open_ones = conflicts_of(uses, licence)
        if open_ones:
            lines += ["What stands against this licence:", ""]
            lines += [
                *(
                    f"- {plain(one.use.dependency.title)}: {plain(one.problem)}"
                    for one in open_ones
                ),
                "",
            ]
    return lines


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

"""The report of many scenes: one page that leads to the page of every scene.

It holds one scene to move in and the worst frames of a few; all other pictures are files beside it,
so that its size hardly grows with the scenes (some 700 bytes each).
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from markupsafe import Markup

from lyra_data.media.colour_maps import ERROR_AT_FULL_SCALE
from lyra_model.evaluation.report.figures import curves
from lyra_model.evaluation.report.figures.distributions import draw_distributions
from lyra_model.evaluation.report.overview_content import OverviewContent
from lyra_model.evaluation.report.page import (
    OWN_SCRIPTS,
    STYLE,
    embedded_file,
    page_environment,
)
from lyra_model.viewer.scripts import viewer_scripts

OVERVIEW = "overview.html.j2"
SORT_SCRIPT = "sort_table.js"

_VIEWER_DATA = re.compile(r'<script type="application/json" id="viewer-data">(.*?)</script>', re.S)


def viewer_data_of(page: str) -> dict[str, Any]:
    """Return what the viewer of a scene's page reads, from the page itself.

    No other text of the page can look like its element, for "<" is escaped everywhere else.
    """
    match = _VIEWER_DATA.search(page)
    assert match, "the page has no viewer"
    return json.loads(match[1])


def render_overview(content: OverviewContent) -> str:
    """Return the page of all scenes. The same content gives the same bytes."""
    template = page_environment().get_template(OVERVIEW)
    return template.render(
        content=content,
        style=embedded_file(STYLE),
        script=Markup("\n").join(
            [viewer_scripts(), *map(embedded_file, (*OWN_SCRIPTS, SORT_SCRIPT))]
        ),
        error_at_full_scale=ERROR_AT_FULL_SCALE,
        psnr_chart=draw_distributions(
            content.psnrs,
            x_label="mean PSNR of a scene (dB)",
            description="Histograms of the mean PSNR of every scene, one for each method",
        ),
        difference_chart=draw_distributions(
            content.differences,
            x_label="difference of PSNR on a scene (dB); right of 0 the decoder is ahead",
            description="Histograms of the decoder's PSNR minus each other method's, by scene",
            with_zero=True,
        ),
        loss_chart=_loss_chart(content),
        distance_chart=_distance_chart(content),
        curve_names=[name for name, _, _ in content.held_out_curve],
    )


def _loss_chart(content: OverviewContent) -> Markup:
    lines = [curves.Curve(phase.name, phase.steps, phase.loss) for phase in content.training]
    return curves.draw_curves(
        lines,
        y_label="loss (log scale)",
        description=f"Training loss over steps in {len(lines)} phases, logarithmic",
        logarithmic=True,
    )


def _distance_chart(content: OverviewContent) -> Markup:
    lines = [
        curves.Curve(name, np.array(distances), np.array(values))
        for name, distances, values in content.held_out_curve
    ]
    return curves.draw_curves(
        lines,
        y_label="mean PSNR (dB)",
        description="Mean PSNR of every method by distance from the last frame that was read",
        x_label="frames past the last one read",
        titles_in_chart=False,
    )

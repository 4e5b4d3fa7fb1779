"""metrics.json: the few figures of a run, a row of which fits a terminal."""

from __future__ import annotations

from lyra_model.evaluation.results import headline_figures


def methods(**psnr_db: float | None) -> dict[str, dict[str, float | None]]:
    return {
        name: {"psnr_db": value, "ssim": 0.64591234, "depth_abs_rel": 0.0441256}
        for name, value in psnr_db.items()
    }


def test_the_decoder_stands_beside_its_baselines():
    results = {
        "held_out_frames": methods(decoder=20.61743, copied=17.4372, warped=25.4298),
        "real_photos": methods(decoder=21.0342),
    }
    assert headline_figures(results) == {
        "psnr": 20.62,
        "ssim": 0.6459,
        "abs_rel": 0.0441,
        "vs_copy": 3.18,
        "vs_warp": -4.81,
        "photo": 21.03,
    }


def test_what_was_not_measured_is_none():
    results = {"held_out_frames": methods(decoder=20.0, copied=None), "real_photos": {}}
    figures = headline_figures(results)
    assert figures["vs_copy"] is None and figures["vs_warp"] is None and figures["photo"] is None


def test_a_row_of_them_fits_80_columns():
    """As `dvc metrics show` lays it out: two spaces after the path, four between figures."""
    results = {
        "held_out_frames": methods(decoder=-10.61743, copied=17.4372, warped=25.4298),
        "real_photos": methods(decoder=21.0342),
    }
    figures = headline_figures(results)
    widths = [max(len(name), len(str(value))) for name, value in figures.items()]
    assert len("reports/metrics.json") + 2 + sum(widths) + 4 * (len(widths) - 1) <= 80

"""The noise levels GEN3C was trained with: EDM preconditioning, Karras spacing."""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from diffusers import EDMEulerScheduler

from lyra_data.models.gen3c.statistics import SIGMA_DATA


def create_scheduler(
    *,
    sigma_min: float = 0.0002,
    sigma_max: float = 80.0,
    sigma_data: float = SIGMA_DATA,
    rho: float = 7.0,
) -> EDMEulerScheduler:
    """The scheduler of a GEN3C pipeline.

    Sampling starts from unit noise times sqrt(sigma_max^2 + 1), ends at level 0, and tells the
    network ln(sigma) / 4. Source: Karras et al. 2022, eq. 5; GEN3C's model_v2w.
    """
    return EDMEulerScheduler(
        sigma_min=sigma_min,
        sigma_max=sigma_max,
        sigma_data=sigma_data,
        sigma_schedule="karras",
        prediction_type="epsilon",
        rho=rho,
        final_sigmas_type="zero",
    )

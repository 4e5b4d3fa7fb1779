"""Templates of HTML pages: how every page of ours is filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def template_environment(package: str) -> jinja2.Environment:
    """Return what reads the templates in a package's folder: texts are escaped, and a name that a
    template does not get is an error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

"""Registry: the table of the kinds of one component (teachers, codecs, ...), loaded on demand."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, GetCoreSchemaHandler, SerializeAsAny

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params, suggestion

Component = TypeVar("Component")


class Registry(Generic[Component]):
    """Kinds of one component by name.

    An entry maps a kind's name to "module:Class". The module's file is named after the kind, the
    class has an inner attribute `Params` (a `Params` of lyra_data/engine/params.py, whose `name`
    field is the kind), and its constructor takes those params alone. Modules are imported only when
    their kind is asked for, so that an unused kind costs nothing and needs nothing installed.
    """

    def __init__(self, noun: str, entries: Mapping[str, str]) -> None:
        self.noun = noun
        self.entries = dict(entries)

    def names(self) -> list[str]:
        return list(self.entries)

    def module(self, name: str) -> str:
        """Return the module of a kind that is in the table, without importing it."""
        return self.entries[name].partition(":")[0]

    def module_chosen_by(self, params: Params) -> str:
        """Return the module of the kind that validated params name, without importing it."""
        return self.module(params.name)  # type: ignore[attr-defined]

    def kind(self, name: str, *, where: str) -> type[Component]:
        """Return the class of a kind.

        Raises:
            ParamsError: the name is not in the table; the known names are listed.
        """
        if not isinstance(name, str) or name not in self.entries:
            raise ParamsError(
                f"unknown {self.noun} {name!r}",
                where=where,
                fix=suggestion(str(name), self.names()),
            )
        attribute = self.entries[name].partition(":")[2]
        return getattr(importlib.import_module(self.module(name)), attribute)

    def parse(self, values: Any, *, where: str) -> Params:
        """Validate a params section whose key `name` chooses the kind."""
        if isinstance(values, Params):
            return values
        if not isinstance(values, Mapping) or "name" not in values:
            raise ParamsError(
                f"a {self.noun} needs a name",
                where=where,
                fix=f"add `name:` with one of {', '.join(self.names())}",
            )
        params_class: type[Params] = self.kind(values["name"], where=where).Params  # type: ignore[attr-defined]
        return params_class.parse(values, where=where)

    def create(self, values: Any, *, where: str) -> Component:
        """Build the component that a params section describes."""
        params = self.parse(values, where=where)
        return self.kind(params.name, where=where)(params)  # type: ignore[attr-defined, call-arg]

    def field(self, where: str) -> KindField:
        """Mark a params field that holds the params of one of these kinds.

        Usage: `codec: Annotated[Params, CODECS.field("generate.codec")]`, or inside a list.

        Args:
            where: dotted params key of the field, used in messages.
        """
        return KindField(self, where)


@dataclass(frozen=True)
class KindField:
    """Tells pydantic how to read and write a field whose key `name` chooses a kind.

    A mapping becomes the params of the kind that it names; params of any kind are dumped with all
    of their own keys, not with those of the base class that the field is annotated with.

    Attributes:
        registry: the kinds to choose from.
        where: dotted params key of the field, used in messages.
    """

    registry: Registry[Any]
    where: str

    def __get_pydantic_core_schema__(
        self,
        annotated: Any,
        handler: GetCoreSchemaHandler,
    ) -> Any:
        kind = Annotated[SerializeAsAny[Params], BeforeValidator(self._parse)]
        return handler.generate_schema(kind)

    def _parse(self, values: Any) -> Params:
        return self.registry.parse(values, where=self.where)

"""What a FHIRPath means: a tree becomes a function from the items in focus to the items found.

Items are values of parsed JSON (numbers as int or Decimal). There is no table of FHIR's types: the type of a choice
(`value[x]`) is read off its key, other elements are taken for what a path says they are. Extensions
of primitive values (`_birthDate`) are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from medlake.standards.fhirpath import Temporal, Tree
from medlake.standards.moments import DATE_KINDS, boundary
from medlake.standards.operators import BINARY, Items, fault, logic, one, truth

CHOICES = frozenset(
    [
        "Base64Binary", "Boolean", "Canonical", "Code", "Date", "DateTime", "Decimal", "Id", "Instant",
        "Integer", "Integer64", "Markdown", "Oid", "PositiveInt", "String", "Time", "UnsignedInt", "Uri", "Url",
        "Uuid", "Address", "Age", "Annotation", "Attachment", "CodeableConcept", "CodeableReference", "Coding",
        "ContactPoint", "Count", "Distance", "Duration", "HumanName", "Identifier", "Money", "Period",
        "Quantity", "Range", "Ratio", "RatioRange", "Reference", "SampledData", "Signature", "Timing",
        "ContactDetail", "Contributor", "DataRequirement", "Expression", "ParameterDefinition",
        "RelatedArtifact", "TriggerDefinition", "UsageContext", "Dosage", "Meta",
    ]
)  # fmt: skip
INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt", "integer64"})


@dataclass(frozen=True)
class Scope:
    """What a path may look at beside its focus."""

    this: Any
    row: int  # %rowIndex
    resource: Any
    index: int = 0


Path = Callable[[Items, Scope], Items]


class Element(dict[str, Any]):
    """The value of a choice, which knows its type."""

    kind = ""


def as_item(kind: str, value: Any) -> Any:
    """The value of a choice with its type where JSON cannot tell it."""
    if isinstance(value, dict):
        element = Element(value)
        element.kind = kind
        return element
    if isinstance(value, str):
        text = Temporal(value)
        text.kind = kind[:1].lower() + kind[1:]
        return text
    return value


def members(items: Items, name: str) -> Items:
    """The children of that name, lists spread out; `value` finds whatever `value[x]` there is."""
    found: Items = []
    for item in items:
        if not isinstance(item, dict):
            continue
        value = item.get(name)
        if value is None:
            kinds = (key[len(name) :] for key in item if key.startswith(name))
            kind = next((k for k in kinds if k in CHOICES), None)
            value = None if kind is None else as_item(kind, item[name + kind])
        _spread(value, found)
    return found


def _spread(value: Any, found: Items) -> None:
    if isinstance(value, list):
        found += [v for v in value if v is not None]
    elif value is not None:
        found.append(value)


def chosen(items: Items, name: str, kind: str) -> Items:
    """The choice `name[x]` of one type."""
    key = name + kind[:1].upper() + kind[1:]
    found: Items = []
    for item in items:
        if isinstance(item, dict):
            _spread(as_item(kind, item[key]) if key in item and not isinstance(item[key], list) else None, found)
    return found


def is_of(item: Any, kind: str) -> bool:
    """Whether an item is of a type, as far as JSON tells (see the module)."""
    if isinstance(item, bool):
        return kind == "boolean"
    if isinstance(item, int):
        return kind in INTEGERS
    if isinstance(item, Decimal):
        return kind == "decimal"
    if isinstance(item, Temporal):
        return item.kind.lower() == kind.lower()
    if isinstance(item, str):
        return kind[:1].islower() and kind not in {"boolean", "decimal", *INTEGERS}
    if isinstance(item, Element):
        return item.kind == kind
    if isinstance(item, dict) and "resourceType" in item:
        return bool(item["resourceType"] == kind)
    return kind[:1].isupper()


def compiled(tree: Tree, constants: Mapping[str, Any], hint: str | None = None) -> Path:
    """The function of a tree. `hint`: the type of the column, which tells a date from a dateTime in boundaries.

    Raises:
        UsageError: it names a constant, a function or an operator that is not there.
    """
    return _Compiler(constants, hint).path(tree)


@dataclass(frozen=True)
class _Compiler:
    constants: Mapping[str, Any]
    hint: str | None

    def path(self, tree: Tree | None) -> Path:
        if tree is None:
            return lambda focus, scope: focus
        make: Callable[..., Path] = getattr(self, f"_{tree[0]}")
        return make(*tree[1:])

    def _literal(self, *values: Any) -> Path:
        return lambda focus, scope: list(values)

    def _this(self) -> Path:
        return lambda focus, scope: [scope.this]

    def _index(self) -> Path:
        return lambda focus, scope: [scope.index]

    def _type(self, name: str) -> Path:
        return lambda focus, scope: [name]

    def _constant(self, name: str) -> Path:
        if name == "rowIndex":
            return lambda focus, scope: [scope.row]
        if name in ("resource", "rootResource", "context"):
            return lambda focus, scope: [scope.resource]
        if name not in self.constants:
            raise fault(f"there is no constant %{name}")
        value = self.constants[name]
        return lambda focus, scope: [value]

    def _member(self, of: Tree | None, name: str) -> Path:
        before = self.path(of)
        if of is None and name[:1].isupper():  # Patient.name: the type of the resource itself
            return lambda focus, scope: [i for i in focus if isinstance(i, dict) and i.get("resourceType") == name]
        return lambda focus, scope: members(before(focus, scope), name)

    def _at(self, of: Tree, place: Tree) -> Path:
        before, where = self.path(of), self.path(place)

        def run(focus: Items, scope: Scope) -> Items:
            number = one(where(focus, scope), "an index")
            if not isinstance(number, int) or isinstance(number, bool):
                raise fault("an index must be a whole number")
            found = before(focus, scope)
            return found[number : number + 1] if number >= 0 else []

        return run

    def _sign(self, sign: str, operand: Tree) -> Path:
        value = self.path(operand)

        def run(focus: Items, scope: Scope) -> Items:
            number = one(value(focus, scope), f"unary {sign}")
            if number is None:
                return []
            if isinstance(number, bool) or not isinstance(number, int | Decimal):
                raise fault(f"unary {sign} takes a number")
            return [-number if sign == "-" else number]

        return run

    def _call(self, of: Tree | None, name: str, args: tuple[Tree, ...]) -> Path:
        from medlake.standards.functions import FUNCTIONS

        if name == "ofType" and len(args) == 1:
            return self._of_type(of, type_of(args[0]))
        if name not in FUNCTIONS:
            raise fault(f"there is no function {name}()")
        least, most, make = FUNCTIONS[name]
        if not least <= len(args) <= most:
            raise fault(f"{name}() takes {least} to {most} arguments")
        if name == "getReferenceKey":
            args = tuple(("literal", type_of(arg)) for arg in args)
        before, given = self.path(of), [self.path(arg) for arg in args]
        function = make(*given) if name not in ("lowBoundary", "highBoundary") else self._boundary(name)
        return lambda focus, scope: function(before(focus, scope), scope)

    def _of_type(self, of: Tree | None, kind: str) -> Path:
        if of is not None and of[0] == "member":
            before, name = self.path(of[1]), of[2]

            def choice(focus: Items, scope: Scope) -> Items:
                owners = before(focus, scope)
                return chosen(owners, name, kind) or [i for i in members(owners, name) if is_of(i, kind)]

            return choice
        inner = self.path(of)
        return lambda focus, scope: [i for i in inner(focus, scope) if is_of(i, kind)]

    def _boundary(self, name: str) -> Path:
        is_low, hint = name == "lowBoundary", self.hint if self.hint in DATE_KINDS else None
        return lambda focus, scope: boundary(one(focus, f"{name}()"), is_low=is_low, hint=hint)

    def _binary(self, sign: str, left: Tree, right: Tree) -> Path:
        if sign in ("is", "as"):
            return self._typed(sign, left, str(right[1]))
        one_side, other = self.path(left), self.path(right)
        if sign in ("and", "or", "xor", "implies"):
            return lambda f, s: logic(sign, truth(one_side(f, s), sign), lambda: truth(other(f, s), sign))
        if sign not in BINARY:
            raise fault(f"the operator {sign} is not supported")
        work = BINARY[sign]
        return lambda focus, scope: work(sign, one_side(focus, scope), other(focus, scope))

    def _typed(self, sign: str, left: Tree, kind: str) -> Path:
        if sign == "as":
            return self._of_type(left, kind)
        inner = self.path(left)

        def run(focus: Items, scope: Scope) -> Items:
            item = one(inner(focus, scope), "is")
            return [] if item is None else [is_of(item, kind)]

        return run


def type_of(tree: Tree) -> str:
    """The type that an argument names: Patient, FHIR.Patient."""
    if tree[0] == "member" and (tree[1] is None or tree[1][0] == "member"):
        return str(tree[2])
    raise fault("a type must be a plain name")


def each(items: Sequence[Any], scope: Scope, path: Path) -> list[Items]:
    """What a path finds in each item for itself."""
    return [path([item], replace(scope, this=item, index=i)) for i, item in enumerate(items)]

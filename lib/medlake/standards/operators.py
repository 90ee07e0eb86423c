"""FHIRPath's operators: from the items on both sides to the items of the result, empty where it is not known."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from medlake.grammar.errors import UsageError
from medlake.standards.moments import compared

Items = list[Any]
ORDERS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


def fault(text: str) -> UsageError:
    """An error of a view; its text never holds a value of a resource."""
    return UsageError(f"view: {text}")


def one(items: Items, what: str) -> Any:
    """The single item, or None where there is none."""
    if len(items) > 1:
        raise fault(f"{what} takes one value, but a resource has several")
    return items[0] if items else None


def truth(items: Items, what: str) -> bool | None:
    """The truth of a collection: None where it is empty; a single value that is no boolean counts as true."""
    value = one(items, what)
    return value if value is None or isinstance(value, bool) else True


def logic(sign: str, left: bool | None, other: Callable[[], bool | None]) -> Items:
    """Three-valued logic; unknown is empty."""
    right = other()
    if sign == "implies":
        sign, left = "or", None if left is None else not left
    if sign == "xor":
        return [] if left is None or right is None else [left != right]
    decides = sign == "or"
    if left is decides or right is decides:
        return [decides]
    return [] if left is None or right is None else [not decides]


def same(left: Any, right: Any) -> bool | None:
    """Whether two items are equal; None where it cannot be known (dates of different precision)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        order = compared(left, right)
        return left == right if order is NotImplemented else None if order is None else order == 0
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return left == right
    return type(left) is type(right) and bool(left == right)


def _equal(sign: str, left: Items, right: Items) -> Items:
    if not left or not right:
        return []
    found: list[bool | None] = [False]
    if len(left) == len(right):
        found = [same(a, b) for a, b in zip(left, right, strict=True)]
    if False in found:
        return [sign == "!="]
    return [] if None in found else [sign == "="]


def _ordered(sign: str, left: Items, right: Items) -> Items:
    a, b = one(left, sign), one(right, sign)
    if a is None or b is None:
        return []
    if isinstance(a, str) and isinstance(b, str):
        order = compared(a, b)
        if order is None:
            return []
        return [ORDERS[sign](a, b) if order is NotImplemented else ORDERS[sign](order, 0)]
    if any(isinstance(v, bool) or not isinstance(v, int | Decimal) for v in (a, b)):
        raise fault(f"{sign} takes two numbers, texts or times")
    return [ORDERS[sign](a, b)]


def _computed(sign: str, left: Items, right: Items) -> Items:
    a, b = one(left, sign), one(right, sign)
    if sign == "&":
        return [str(a or "") + str(b or "")]
    if a is None or b is None:
        return []
    if sign == "+" and isinstance(a, str) and isinstance(b, str):
        return [a + b]
    if any(isinstance(v, bool) or not isinstance(v, int | Decimal) for v in (a, b)):
        raise fault(f"{sign} takes two numbers")
    try:
        return [ARITHMETIC[sign](a, b)]
    except ArithmeticError:  # a division by zero, or a number that nothing holds: FHIRPath says empty
        return []


def _united(sign: str, left: Items, right: Items) -> Items:
    found: Items = []
    for item in [*left, *right]:
        if not any(same(item, known) for known in found):
            found.append(item)
    return found


def _member_of(sign: str, left: Items, right: Items) -> Items:
    (item, items) = (left, right) if sign == "in" else (right, left)
    value = one(item, sign)
    return [] if value is None else [any(same(value, known) for known in items)]


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda a, b: Decimal(a) / Decimal(b),
    "div": lambda a, b: int(Decimal(a) / Decimal(b)), "mod": lambda a, b: Decimal(a) % Decimal(b),
}  # fmt: skip
BINARY: dict[str, Callable[[str, Items, Items], Items]] = {
    "=": _equal, "!=": _equal, **dict.fromkeys(ORDERS, _ordered), **dict.fromkeys([*ARITHMETIC, "&"], _computed),
    "|": _united, "in": _member_of, "contains": _member_of,
}  # fmt: skip

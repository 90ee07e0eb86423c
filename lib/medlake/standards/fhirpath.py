"""FHIRPath, the part that SQL-on-FHIR asks for: text → syntax tree. What a tree means is in `paths`.

A tree is nested tuples: ("literal", value), ("constant", name), ("this",), ("index",), ("member", of, name),
("call", of, function, args), ("at", of, place), ("binary", operator, left, right), ("sign", operator, operand),
("type", name). `of` is None where a path starts.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from medlake.grammar.errors import UsageError

Tree = tuple[Any, ...]

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    | (?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)?)
    | (?P<name>[A-Za-z_]\w*|`[^`]+`)
    | (?P<special>\$(?:this|index)\b)
    | (?P<constant>%(?:[A-Za-z_][\w-]*|`[^`]+`|'[^']+'))
    | (?P<symbol><=|>=|!=|!~|[-+*/&|=~<>.,()\[\]{}])
    )""",
    re.VERBOSE,
)
# From the loosest to the tightest, as the FHIRPath grammar orders them.
OPERATORS = (
    ("implies",), ("or", "xor"), ("and",), ("in", "contains"), ("=", "!=", "~", "!~"), ("<", ">", "<=", ">="), ("|",),
    ("is", "as"), ("+", "-", "&"), ("*", "/", "div", "mod"),
)  # fmt: skip
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
MAX_DEPTH, MAX_TOKENS = 60, 400  # of brackets, of words; a path written by a person never comes near


class Temporal(str):
    """A date, time or dateTime literal: text that is compared as a point in time."""

    kind: str = "dateTime"


def parse(text: object) -> Tree:
    """The tree of a path.

    Raises:
        UsageError: it is no text, or no path of the supported part of FHIRPath.
    """
    if not isinstance(text, str):
        raise UsageError("view: a path must be text")
    tokens, at = [], 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise UsageError(f"view: path {text!r}: cannot read it from character {at + 1} on")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    if len(tokens) > MAX_TOKENS:
        raise UsageError(f"view: a path has more than {MAX_TOKENS} words")
    reader = _Reader(text, tokens)
    tree = reader.expression(0)
    if reader.here() != ("end", ""):
        raise reader.wrong()
    return tree


class _Reader:
    def __init__(self, text: str, tokens: list[tuple[str, str]]) -> None:
        self.text, self.tokens, self.at, self.depth = text, [*tokens, ("end", "")], 0, 0

    def here(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def wrong(self) -> UsageError:
        said = self.here()[1] or "its end"
        return UsageError(f"view: path {self.text!r}: did not expect {said}")

    def got(self, *words: str) -> str | None:
        kind, word = self.here()
        if kind in ("symbol", "name") and word in words:
            self.at += 1
            return word
        return None

    def need(self, word: str) -> None:
        if not self.got(word):
            raise self.wrong()

    def expression(self, level: int) -> Tree:
        if level == len(OPERATORS):
            return self.signed()
        left = self.expression(level + 1)
        while (operator := self.got(*OPERATORS[level])) is not None:
            right: Tree = ("type", self.type_name()) if operator in ("is", "as") else self.expression(level + 1)
            left = ("binary", operator, left, right)
        return left

    def signed(self) -> Tree:
        operator = self.got("+", "-")
        if operator is not None:
            return ("sign", operator, self.signed())
        return self.invocations()

    def invocations(self) -> Tree:
        tree = self.term()
        while True:
            if self.got("."):
                tree = self.invocation(tree)
            elif self.got("["):
                tree = ("at", tree, self.nested())
                self.need("]")
            else:
                return tree

    def nested(self) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UsageError("view: a path is nested too deeply")
        tree = self.expression(0)
        self.depth -= 1
        return tree

    def term(self) -> Tree:
        kind, word = self.here()
        if self.got("("):
            tree = self.nested()
            self.need(")")
            return tree
        if self.got("{"):
            self.need("}")
            return ("literal",)
        if kind == "name":
            if word in ("true", "false"):
                self.at += 1
                return ("literal", word == "true")
            return self.invocation(None)
        if kind in ("symbol", "end"):
            raise self.wrong()
        self.at += 1
        if kind == "special":
            return (word[1:],)
        if kind == "constant":
            return ("constant", word[1:].strip("`'"))
        return ("literal", _value(kind, word))

    def invocation(self, of: Tree | None) -> Tree:
        name = self.name()
        if not self.got("("):
            return ("member", of, name)
        args: list[Tree] = []
        if not self.got(")"):
            args.append(self.nested())
            while self.got(","):
                args.append(self.nested())
            self.need(")")
        return ("call", of, name, tuple(args))

    def name(self) -> str:
        kind, word = self.here()
        if kind != "name":
            raise self.wrong()
        self.at += 1
        return word.strip("`")

    def type_name(self) -> str:
        name = self.name()
        return self.name() if name in ("FHIR", "System") and self.got(".") else name


def _value(kind: str, word: str) -> Any:
    if kind == "number":
        return Decimal(word) if "." in word else int(word)
    if kind == "string":
        return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescaped, word[1:-1])
    moment = Temporal(word[1:].removeprefix("T").removesuffix("T"))
    moment.kind = "time" if kind == "time" else "dateTime" if "T" in word else "date"
    return moment


def _unescaped(found: re.Match[str]) -> str:
    said = found[1]
    return chr(int(said[1:], 16)) if len(said) == 5 else ESCAPES.get(said, said)

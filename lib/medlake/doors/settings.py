"""Choices: the project's conf/, a profile, a user's own --conf DIR laid over both, and the command line."""

from __future__ import annotations

import os
import secrets
import stat
import tomllib
from datetime import date
from importlib.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medlake.grammar.contract import shipped
from medlake.grammar.errors import ConfigError, UsageError

KEY_BYTES = 32  # HMAC-SHA-256 wants a key as long as its digest


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ingest(_Section):
    max_line_bytes: int
    max_document_bytes: int
    max_span_lines: int


class Privacy(_Section):
    shift_days_max: int = Field(ge=30, le=3650)
    small_count: int = Field(ge=2)
    notes: Literal["patterns", "dictionaries", "surrogates"]


class Link(_Section):
    rounds: int = Field(ge=1, le=20)
    probabilistic: bool
    threshold: float
    doubt: float
    pairs_per_record: int = Field(ge=1)


class Imaging(_Section):
    link_hours: float = Field(ge=0, le=24 * 30)
    procedure_name: str = Field(min_length=1)


class Cluster(_Section):
    k_min: int = Field(ge=2)
    k_max: int
    min_visits: int


class Associate(_Section):
    min_support: float = Field(gt=0, le=1)
    min_confidence: float = Field(gt=0, le=1)
    max_items_per_basket: int = Field(ge=0)
    max_length: int = Field(ge=2)
    max_steps: int = Field(ge=2)
    window_days: int = Field(ge=0)
    roll_up: bool


class Train(_Section):
    folds: int = Field(ge=2)
    bootstrap: int = Field(ge=0)


class Export(_Section):
    name: str = Field(min_length=1, max_length=255)
    abbreviation: str = Field(min_length=1, max_length=25)
    holder: str = Field(min_length=1, max_length=255)
    vocabulary: Path | None = None  # folder with the CSV files of OHDSI's Athena


class Retry(_Section):
    wait_seconds: float = Field(ge=0)


class Settings(_Section):
    """Every choice of one run, checked."""

    profile: Literal["local", "cluster"] = "local"
    lake: Path
    landing: Path
    key_file: Path
    as_of: date | None = None  # the day a night stands for; today where absent
    seed: int
    ingest: Ingest
    privacy: Privacy
    link: Link
    imaging: Imaging
    cluster: Cluster
    associate: Associate
    train: Train
    export: Export
    retry: Retry


class Conf:
    """The folders of choices, later ones laid over earlier ones, file by file."""

    def __init__(self, user: Path | None = None) -> None:
        if user is not None and not user.is_dir():
            raise UsageError(f"--conf {user}: there is no such folder")
        self.roots: list[Traversable] = [shipped("conf"), *([user] if user else [])]

    def toml(self, *parts: str) -> dict[str, Any]:
        """One TOML file, the user's keys laid over the project's.

        Raises:
            ConfigError: a file is not well formed.
        """
        merged: dict[str, Any] = {}
        for root in self.roots:
            path = root.joinpath(*parts)
            if path.is_file():
                try:
                    merged = laid_over(merged, tomllib.loads(path.read_text(encoding="utf-8")))
                except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
                    raise ConfigError(f"conf/{'/'.join(parts)}: {fault}") from fault
        return merged

    def folders(self, kind: str) -> list[str]:
        """The names of the sub-folders of conf/<kind>, sorted."""
        names: set[str] = set()
        for root in self.roots:
            if root.joinpath(kind).is_dir():
                names |= {p.name for p in root.joinpath(kind).iterdir() if p.is_dir()}
        return sorted(names)

    def texts(self, *parts: str, suffix: str) -> dict[str, str]:
        """Stem → text of the files of one conf folder that end in `suffix`; the user's file wins."""
        found: dict[str, str] = {}
        for root in self.roots:
            folder = root.joinpath(*parts)
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.name.endswith(suffix):
                        found[path.name.removesuffix(suffix)] = path.read_text(encoding="utf-8")
        return dict(sorted(found.items()))

    def spark(self, profile: str) -> dict[str, str]:
        """Spark settings of a profile: conf/spark/<profile>.conf, one `name value` a line."""
        choices: dict[str, str] = {}
        for text in (self.texts("spark", suffix=".conf").get(profile, ""),):
            for line in text.splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    name, _, value = line.strip().partition(" ")
                    choices[name] = value.strip()
        return choices


def load(conf: Conf, profile: str, **given: Any) -> Settings:
    """The settings: base.toml < <profile>.toml < the command line (`given`; None means not given).

    Raises:
        ConfigError: lists every wrong or missing choice at once.
    """
    choices = laid_over(conf.toml("base.toml"), conf.toml(f"{profile}.toml"))
    choices |= {name: value for name, value in given.items() if value is not None}
    choices["profile"] = profile
    if "MEDLAKE_KEY_FILE" in os.environ:
        choices["key_file"] = os.environ["MEDLAKE_KEY_FILE"]
    for name in ("lake", "landing", "key_file"):
        if name in choices:
            choices[name] = Path(choices[name]).expanduser().absolute()
    try:
        return Settings.model_validate(choices)
    except ValidationError as fault:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors()]
        raise ConfigError("conf: " + "; ".join(lines)) from fault


def read_key(path: Path) -> bytes:
    """The secret key of all pseudonyms.

    Raises:
        ConfigError: no key, no start; nor with a key that others may read.
    """
    if not path.is_file():
        raise ConfigError(
            f"There is no key file at {path}. `medlake key` makes one. Keep it safe and away from the lake: "
            "without it the same patients get other pseudonyms."
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"The key file {path} can be read by others. Run: chmod 600 {path}")
    return _keys(path)[0]


def retired_keys(path: Path) -> tuple[bytes, ...]:
    """Keys that were the key once, the newest first: they only serve to know people who were forgotten under them."""
    return tuple(_keys(path)[1:])


def _keys(path: Path) -> list[bytes]:
    lines = path.read_text(encoding="ascii", errors="replace").split()
    try:
        keys = [bytes.fromhex(line) for line in lines or [""]]
    except ValueError as fault:
        raise ConfigError(f"The key file {path} does not hold {KEY_BYTES} bytes as hex digits") from fault
    wrong = [key for key in keys if len(key) != KEY_BYTES]
    if wrong:
        raise ConfigError(f"The key file {path} holds {len(wrong[0])} bytes, not {KEY_BYTES}")
    return keys


def write_key(path: Path) -> None:
    """Make a new random key file of mode 0600; an existing one is never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as fault:
        raise ConfigError(f"There is a key at {path} already; it is left as it is") from fault
    with os.fdopen(handle, "w") as out:
        out.write(secrets.token_hex(KEY_BYTES) + "\n")


def rotate_key(path: Path) -> None:
    """A new random key in the place of the key; that one is retired (see `retired_keys`)."""
    read_key(path)
    lines = [secrets.token_hex(KEY_BYTES), *path.read_text(encoding="ascii").split()]
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write("\n".join(lines) + "\n")
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(path)


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two TOML trees as one: a table is merged key by key, of anything else `above` wins."""
    merged = dict(below)
    for name, value in above.items():
        nested = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = laid_over(merged[name], value) if nested else value
    return merged

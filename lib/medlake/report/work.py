"""What the page says of the night's work, as small Python values. Counts are of records, files, bytes and checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Intake:
    """What one source brought this night; rows_in = kept + merged + set aside."""

    source: str
    about: str
    n_files: int
    n_bytes: int
    rows_in: int
    rows_kept: int
    rows_merged: int
    rows_quarantined: int


@dataclass(frozen=True)
class SetAside:
    """Records of one source set aside for one reason."""

    source: str
    reason_code: str
    n: int


@dataclass(frozen=True)
class Refusal:
    """A source, or one table of it, that was refused as a whole; `fault` says what to do."""

    source: str
    subject: str
    fault: str


@dataclass(frozen=True)
class Weighed:
    """Pairs of records whose match weight lies in one band (bits from `band` on), and what follows from it."""

    decision: str
    band: int
    n: int | None
    n_mark: str | None = None


@dataclass(frozen=True)
class TableChecks:
    """How many checks of the Data Quality Dashboard one clean table passed and failed in this night."""

    table: str
    n_passed: int
    n_failed: int


@dataclass(frozen=True)
class FailedCheck:
    """One check that failed. Shares are of the rows that count; None: few people, or (before) not told."""

    table: str
    field: str
    concept: str
    because: str
    blocks: bool
    allowed: float
    share: float | None
    share_before: float | None


@dataclass(frozen=True)
class Change:
    """What the night did to one table, in rows; None: a few people, where a row stands for a person."""

    table: str
    n_inserted: int | None
    n_updated: int | None
    n_deleted: int | None


@dataclass(frozen=True)
class StepRun:
    """One step of the night: start in seconds after the first step, duration in seconds."""

    step: str
    offset_seconds: float
    seconds: float
    status: str
    rows_in: int | None = None
    rows_changed: int | None = None


@dataclass(frozen=True)
class TableVersion:
    """One table of the lake: its version, and the night and step that wrote it last."""

    table: str
    version: int
    night: int
    step: str

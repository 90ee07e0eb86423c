"""Every error medlake raises on purpose: one class, one exit code, for ever.

A message says what is wrong, where, how many and what to do. It never holds a patient's value.
"""

from __future__ import annotations

from collections.abc import Iterable


class MedlakeError(Exception):
    """Something medlake knows how to explain; the command ends with `exit_code`."""

    exit_code = 70


class UsageError(MedlakeError):
    """The command was called in a way it does not understand."""

    exit_code = 2


class ConfigError(MedlakeError):
    """A choice under conf/ (or a key file, or an option) is missing or contradicts another."""

    exit_code = 3


class InputRefusedError(MedlakeError):
    """A source as a whole cannot be taken in; the other sources went on."""

    exit_code = 4


class ContractError(MedlakeError):
    """A table breaks its promise; every fault is listed at once."""

    def __init__(self, table: str, faults: Iterable[str]) -> None:
        self.table, self.faults = table, list(faults)
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        super().__init__(f"{table} breaks its promise in {len(self.faults)} place(s):\n{lines}")


class QualityGateError(MedlakeError):
    """A blocking check failed: counts that do not add up, or an identifier in the open zone."""

    exit_code = 5


class BusyError(MedlakeError):
    """Another run holds the lease of this lake."""

    exit_code = 6


class DamagedLakeError(MedlakeError):
    """Commits that were acknowledged are gone or altered: nothing is written until they are put back."""

    exit_code = 7


class MissingExtraError(ConfigError):
    """An optional library is not installed."""

    def __init__(self, extra: str, library: str) -> None:
        super().__init__(f"{library} is not installed. Install it with: pip install 'medlake[{extra}]'")


EXIT_CODES: dict[int, str] = {
    0: "done",
    UsageError.exit_code: "usage",
    ConfigError.exit_code: "configuration",
    InputRefusedError.exit_code: "input refused",
    QualityGateError.exit_code: "quality gate",
    BusyError.exit_code: "busy",
    DamagedLakeError.exit_code: "damaged lake",
    MedlakeError.exit_code: "internal",
}

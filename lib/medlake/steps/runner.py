"""Runs steps: one after the other by the night's order, resumed, retried and written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from medlake.doors import session
from medlake.doors.access import AccessLog
from medlake.doors.commits import CommitBook
from medlake.doors.lake import Lake
from medlake.doors.ledger import Counts, Lease, Ledger, Night, now
from medlake.doors.settings import Conf, load, read_key, retired_keys, rotate_key
from medlake.grammar.contract import promise
from medlake.grammar.errors import ConfigError, InputRefusedError, MedlakeError, QualityGateError, UsageError
from medlake.steps import STEPS
from medlake.steps.chain import chain_faults
from medlake.steps.context import Context, Progress, conf_digest

FORGETTING = ("forget", "link", "build", "purge")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    conf: Path | None = None
    lake: Path | None = None
    landing: Path | None = None
    profile: str = "local"
    from_step: str | None = None
    dry_run: bool = False
    only: str | None = None
    to: Path | None = None
    vocabulary: Path | None = None
    extra: Mapping[str, str | None] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """A node of conf/nightly.toml."""

    step: str
    after: tuple[str, ...]
    retries: int


def nightly(conf: Conf) -> list[Plan]:
    """The night's steps in an order that respects `after`, without those that are switched off (`run = false`).

    Raises:
        ConfigError: a step is unknown or the order runs in a circle.
    """
    said = conf.toml("nightly.toml").get("step", {})
    nodes = {n: Plan(n, tuple(one.get("after", [])), int(one.get("retries", 0))) for n, one in said.items()}
    unknown = sorted((set(nodes) | {a for n in nodes.values() for a in n.after}) - set(STEPS))
    if unknown:
        raise ConfigError(f"conf/nightly.toml names unknown steps: {', '.join(unknown)}")
    try:
        order = list(TopologicalSorter({n: p.after for n, p in nodes.items()}).static_order())
    except CycleError as fault:
        raise ConfigError("conf/nightly.toml: the steps wait for each other in a circle") from fault
    return [nodes[name] for name in order if name in nodes and said[name].get("run", True)]


class Runner:
    """One process that holds the lease of one lake."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.conf = Conf(options.conf)
        self.settings = load(self.conf, options.profile, lake=options.lake, landing=options.landing)
        self.plans = nightly(self.conf)
        self.progress = Progress(self.settings.lake / "log" / "medlake.log")
        self.lease = Lease(self.settings.lake)

    def night(self) -> int:
        """Run (or go on with) a whole night; returns the exit code."""
        steps = [plan.step for plan in self.plans]
        if self.options.from_step and self.options.from_step not in steps:
            raise UsageError(f"--from {self.options.from_step}: the night's steps are {', '.join(steps)}")
        if self.options.dry_run:
            return self._dry_run()
        return self._hold(self._night)

    def step(self, name: str) -> int:
        """Run one step now, whether anything changed or not; returns the exit code."""
        plan = Plan(name, (), 0)
        if self.options.dry_run:
            self.progress.say(f"Would run {name} on {self.settings.lake}")
            return 0
        return self._hold(lambda ctx, ledger: self._one(ctx, ledger, plan, forced=True))

    def part(self, *steps: str) -> int:
        """Run these steps as the night would, each upon what it has done before; returns the exit code."""
        plans = [Plan(step, (), 0) for step in steps]
        return self._hold(lambda ctx, ledger: max(self._one(ctx, ledger, plan, forced=False) for plan in plans))

    def retry(self) -> int:
        """Read quarantined records again, then link and build: what passes by now closes its entry."""
        return self.steps("retry", "link", "build")

    def steps(self, first: str, *then: str) -> int:
        """Run a step for what the command names, and whole steps after it; returns the exit code."""

        def work(ctx: Context, ledger: Ledger) -> int:
            worst = 0
            for name in (first, *then):
                ctx.only = self.options.only if name == first else None
                worst = max(worst, self._one(ctx, ledger, Plan(name, (), 0), forced=True))
            return worst

        return self._hold(work)

    def forget(self) -> int:
        """Forget the person whom `extra` names, make the rest whole, then remove all files of older versions."""

        def work(ctx: Context, ledger: Ledger) -> int:
            return max(self._one(ctx, ledger, Plan(name, (), 0), forced=True) for name in FORGETTING)

        return self._hold(work)

    def rotate(self) -> int:
        """A new key; then ids, pseudonyms, date shifts, all of silver and gold and the page are made anew with it."""
        path = self.settings.key_file

        def end(ctx: Context, _: Ledger) -> int:
            faults = chain_faults(ctx.lake)
            if faults:
                raise QualityGateError("The key stays: " + "; ".join(faults))
            rotate_key(path)
            if ctx.lake.access is not None:
                ctx.lake.access.seal(lambda: read_key(path))
                CommitBook(ctx.lake.root).end_access()
            ctx.say("A new key is written; the old one stands below it and only serves to know who was forgotten")
            return 0

        def make_anew(ctx: Context, ledger: Ledger) -> int:
            steps = ["rekey", *[plan.step for plan in self.plans if plan.step != "ingest"], "purge"]
            return max(self._one(ctx, ledger, Plan(step, (), 0), forced=True) for step in steps)

        self._hold(end)
        return self._hold(make_anew)

    def _hold(self, work: Callable[[Context, Ledger], int]) -> int:
        key = read_key(self.settings.key_file)
        left = self.lease.acquire()
        try:
            self.progress.say(f"Starting Spark ({self.settings.profile})")
            for said in CommitBook(self.settings.lake).check():
                self.progress.say(f"Took away a commit that was never finished: {said}")
            spark = session.start("medlake", self.conf.spark(self.settings.profile))
            lake = Lake(spark, self.settings.lake, AccessLog(self.settings.lake, lambda: key))
            digest = conf_digest(self.conf, self.settings, key)
            ledger = Ledger(lake, [p.step for p in self.plans], digest, self.settings.seed)
            if left and "step" in left:
                self.progress.say(f"The last run was killed in step {left['step']}; going on")
                started = datetime.fromisoformat(left["started_at"])
                ledger.attempted(left["night_id"], left["step"], left["attempt"], "killed", started)
            ctx = Context(spark, lake, self.settings, self.conf, self._tonight(ledger), key, self.progress)
            ctx.retired = retired_keys(self.settings.key_file)
            ctx.only, ctx.reason = self.options.only, self.options.reason
            ctx.to, ctx.vocabulary = self.options.to, self.options.vocabulary
            ctx.extra = self.options.extra
            return work(ctx, ledger)
        finally:
            self.lease.release()

    def _tonight(self, ledger: Ledger) -> Night:
        last = ledger.last()
        today = self.settings.as_of or datetime.now(UTC).date()
        if last is None:
            return Night(1, today)
        whole = len(ledger.finished(last)) == len(self.plans)
        return Night(last.number + 1, today) if whole and self._opens_night() else last

    def _opens_night(self) -> bool:
        return self.options.from_step is None and self.options.only is None

    def _night(self, ctx: Context, ledger: Ledger) -> int:
        done = ledger.finished(ctx.night)
        if self.options.from_step:
            steps = [plan.step for plan in self.plans]
            done = steps[: steps.index(self.options.from_step)]
        ctx.say(f"Night {ctx.night.number} as of {ctx.night.as_of}" + (f", after {done[-1]}" if done else ""))
        worst = 0
        for plan in self.plans:
            if plan.step not in done:
                forced = self.options.from_step is not None
                worst = max(worst, self._one(ctx, ledger, plan, forced=forced))
        page = self.settings.lake / "report" / "latest.html"
        ctx.say(f"Night {ctx.night.number} is done. Report: {page}")
        return worst

    def _one(self, ctx: Context, ledger: Ledger, plan: Plan, *, forced: bool) -> int:
        for attempt in range(1, plan.retries + 2):
            started = now()
            self.lease.note(
                step=plan.step, night_id=ctx.night.number, attempt=attempt, started_at=started.isoformat()
            )
            try:
                return self._attempt(ctx, ledger, plan, attempt, started, forced=forced)
            except Exception as fault:  # whatever it is, it is written down
                code = getattr(fault, "exit_code", MedlakeError.exit_code)
                said = str(fault) if isinstance(fault, MedlakeError) else type(fault).__name__
                ledger.attempted(
                    ctx.night.number, plan.step, attempt, "failed", started,
                    ended=now(), exit_code=code, error=f"{type(fault).__name__}: {said}"[:2000],
                )  # fmt: skip
                again = isinstance(fault, (PySparkException, Py4JError, OSError))
                if not again or attempt > plan.retries:
                    raise
                ctx.say(f"{plan.step} failed ({type(fault).__name__}); trying again")
                time.sleep(self.settings.retry.wait_seconds * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _attempt(
        self, ctx: Context, ledger: Ledger, plan: Plan, attempt: int, started: datetime, *, forced: bool
    ) -> int:
        ctx.lake.take_activity()
        if ctx.lake.access is not None:
            ctx.lake.access.begin(f"{plan.step}, night {ctx.night.number}")
        ctx.faults.clear()
        ctx.refusals.clear()
        may_skip = not forced and plan.step not in ("ingest", "report", "audit")
        ctx.since = {} if forced else ledger.since(plan.step, ctx.night.as_of)
        if may_skip and ledger.unchanged(plan.step, ctx.night.as_of):
            ledger.wrote(ctx.night, plan.step, started, Counts(), "unchanged")
            ctx.say(f"{plan.step}: nothing changed since the last night")
            return 0
        counts = STEPS[plan.step]()(ctx).checked(plan.step)
        self._write_refusals(ctx)
        self._write_access(ctx)
        code = InputRefusedError.exit_code if ctx.faults else 0
        status = "refused" if ctx.faults else "done"
        # a part of a step stands for itself: the next night must not take it for the whole
        is_part = ctx.only is not None and plan.step in {p.step for p in self.plans}
        said = f"{plan.step} (part)" if is_part else plan.step
        row = ledger.wrote(ctx.night, said, started, counts, status, code)
        ledger.attempted(ctx.night.number, plan.step, attempt, "done", started, ended=now(), exit_code=code)
        took = (now() - started).total_seconds()
        went = f"{counts.kept:,} kept, {counts.quarantined:,} set aside, {counts.merged:,} merged"
        rows = f": {counts.rows_in:,} rows in, {went}"
        ctx.say(f"{plan.step}{rows if counts.rows_in else ''} ({row['rows_changed']:,} rows changed, {took:.1f} s)")
        for fault in ctx.faults:
            ctx.say(f"{plan.step}: refused: {fault}")
        return code

    @staticmethod
    def _write_refusals(ctx: Context) -> None:
        """ops.source_fault: which sources this step refused, and why."""
        rows = [(ctx.night.number, source, subject, said) for (source, subject), said in ctx.refusals.items()]
        if rows:
            frame = ctx.spark.createDataFrame(rows, promise("ops.source_fault").schema)
            ctx.lake.merge("ops.source_fault", frame, keep=True)

    @staticmethod
    def _write_access(ctx: Context) -> None:
        """Note in the commit book how far the access log has come."""
        head = ctx.lake.access.head() if ctx.lake.access is not None else None
        if head is not None:
            CommitBook(ctx.lake.root).note_access(head)

    def _dry_run(self) -> int:
        for plan in self.plans:
            self.progress.say(
                f"Would run {plan.step}" + (f" after {', '.join(plan.after)}" if plan.after else "")
            )
        return 0

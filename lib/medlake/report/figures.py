"""All charts of a page, by name; a chart without anything to show is absent."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from medlake.report import care_charts, charts, findings, model_charts, words
from medlake.report.care import Rule
from medlake.report.charts import Row, Segment
from medlake.report.content import Group, Named, PageContent, Task
from medlake.report.svg import ORANGE, SERIES
from medlake.report.words import number, people, percent

TOP_REASONS = 8  # features shown per model
TOP_SET_ASIDE = 20  # pairs of source and reason shown as bars


@dataclass(frozen=True)
class TaskFigures:
    """The charts of one task; None where there is nothing to show."""

    intervals: Markup | None = None
    roc: Markup | None = None
    pr: Markup | None = None
    calibration: Markup | None = None
    reasons: Markup | None = None
    subgroups: Markup | None = None


@dataclass(frozen=True)
class Figures:
    """The charts of a page; None where there is nothing to show."""

    ages: Markup | None
    sources: Markup | None
    conditions: Markup | None
    years: Markup | None
    quality: Markup | None
    modalities: Markup | None
    groups: Markup | None
    differences: tuple[Markup | None, ...]
    rules: tuple[Markup, ...]
    network: Markup | None
    flows: Markup | None
    tasks: tuple[TaskFigures, ...]
    intake: Markup | None
    set_aside: Markup | None
    checks: Markup | None
    changes: Markup | None
    steps: Markup | None


def of(content: PageContent) -> Figures:
    """Draw everything the content has something for."""
    return Figures(
        ages=_ages(content),
        sources=_named(content, content.persons_by_source, "People by source"),
        conditions=_named(content, content.conditions, "People by recorded diagnosis"),
        years=charts.years(content.records_by_year, alt="Records per year, one strip per kind of record")
        if content.records_by_year
        else None,
        quality=_quality(content),
        modalities=_modalities(content),
        groups=_groups(content),
        differences=tuple(_differences(content, group) for group in content.groups.groups),
        rules=tuple(_rule(rule) for rule in content.rules),
        network=care_charts.network(content.care),
        flows=care_charts.flows(content.care, small_count=content.night.small_count),
        tasks=tuple(_task(content, task) for task in content.tasks),
        intake=_intake(content),
        set_aside=_set_aside(content),
        checks=_checks(content),
        changes=_changes(content),
        steps=_steps(content),
    )


def _ages(content: PageContent) -> Markup | None:
    known = [one for one in content.age_sex if one.band != "unknown" and one.sex in ("women", "men")]
    if not known:
        return None
    shown = (
        f"{one.band} years, {one.sex}: {people(one.n, one.n_mark, small_count=content.night.small_count)}"
        for one in known
    )
    alt = f"People by age and sex. {'; '.join(shown)}"
    return charts.pyramid(known, alt=alt, small_count=content.night.small_count)


def _named(content: PageContent, named: tuple[Named, ...], what: str) -> Markup | None:
    bars = [
        Row(
            words.plain(one.name),
            people(one.n, one.n_mark, small_count=content.night.small_count),
            None if one.n is None else (Segment(0, one.n),),
        )
        for one in named
    ]
    alt = f"{what}. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    return charts.rows(bars, alt=alt) if bars else None


def _quality(content: PageContent) -> Markup | None:
    bars = []
    for one in content.quality:
        if one.n_flagged is None:
            text = f"all but <{content.night.small_count} of {number(one.n_rows)}"
            bars.append(Row(words.table(one.table), text, None))
        elif one.n_rows:
            clean = 1 - one.n_flagged / one.n_rows
            text = f"{percent(clean)} of {number(one.n_rows)}"
            segments = (Segment(0, clean), Segment(clean, 1 - clean, ORANGE))
            bars.append(Row(words.table(one.table), text, segments))
    alt = "Share of records without a remark. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    legend = (("without a remark", charts.KEPT), ("with a remark", ORANGE))
    return charts.rows(bars, alt=alt, end=1, legend=legend) if bars else None


def _modalities(content: PageContent) -> Markup | None:
    bars = [
        Row(
            words.modality(one.modality),
            f"{words.plural(one.n_images, 'image')} · "
            f"{people(one.n, one.n_mark, small_count=content.night.small_count)} people",
            (Segment(0, one.n_images),),
        )
        for one in content.modalities
    ]
    alt = "Images by kind. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    return charts.rows(bars, alt=alt) if bars else None


def _groups(content: PageContent) -> Markup | None:
    groups = [one for one in content.groups.groups if one.is_drawn]
    if not groups:
        return None
    alt = (
        "Groups of people as ellipses; the further apart two are, the more their people differ. "
        + "; ".join(
            f"group {one.cluster}: {people(one.n, one.n_mark, small_count=content.night.small_count)} people"
            for one in groups
        )
    )
    return charts.picture(groups, alt=alt, small_count=content.night.small_count)


def _differences(content: PageContent, group: Group) -> Markup | None:
    if not group.differences:
        return None
    reach = max(abs(one.effect_size) for each in content.groups.groups for one in each.differences)
    alt = f"What sets group {group.cluster} apart, in standard deviations. " + "; ".join(
        f"{words.feature(one.feature)}: {words.signed(one.effect_size)}" for one in group.differences
    )
    return charts.differences(
        group.differences, reach=reach, alt=alt, color=SERIES[(group.cluster - 1) % len(SERIES)]
    )


def _rule(rule: Rule) -> Markup:
    return charts.dumbbell(
        rule.expected, rule.confidence, is_bound=rule.is_bound, alt=words.association(rule)
    )


def _task(content: PageContent, task: Task) -> TaskFigures:
    models = list(dict.fromkeys(one.model for one in task.metrics))
    best = findings.best_model(task)
    if not best:
        return TaskFigures()
    colors = model_charts.colors_of(models)
    auroc = sorted((one for one in task.metrics if one.metric == "auroc"), key=lambda one: -one.value)
    scores = "; ".join(f"{words.model(one.model)} {words.with_interval(one)}" for one in auroc)
    weights = sorted((one for one in task.reasons if one.model == best), key=lambda one: -abs(one.weight))
    everybody = findings.n_of(task, best)
    levels = [one for one in task.subgroups if one.model == best and one.n != everybody]
    overall = findings.metric(task, best, "auroc")
    lowest = min([one.lower if one.lower is not None else one.value for one in auroc])
    lowest_level = min([one.auroc for one in levels if one.auroc is not None], default=1.0)
    top = weights[:TOP_REASONS]
    named = "; ".join(f"{words.feature(one.feature)} {words.weight(one)}" for one in top)
    return TaskFigures(
        intervals=model_charts.intervals(
            auroc, colors, best, low=_floor(lowest), alt=f"AUROC by model. {scores}"
        ),
        roc=model_charts.roc(task.roc, colors, best, alt=f"ROC curves. {scores}") if task.roc else None,
        pr=model_charts.precision_recall(task.pr, colors, best, alt="Precision-recall curves of all models")
        if task.pr
        else None,
        calibration=model_charts.calibration(
            task.calibration, colors, best, alt=f"Calibration. {findings.calibration(task)}"
        )
        if task.calibration
        else None,
        reasons=model_charts.reasons(top, alt=f"What drives {words.model(best)}. {named}") if top else None,
        subgroups=model_charts.subgroups(
            levels,
            overall.value if overall else None,
            low=_floor(lowest_level),
            alt=f"AUROC of {words.model(best)} by subgroup",
            small_count=content.night.small_count,
        )
        if levels
        else None,
    )


def _floor(lowest: float) -> float:
    """Where a scale of AUROC starts: at chance, or at 0.9 where every model is above."""
    return 0.9 if lowest >= 0.9 else 0.5 if lowest >= 0.5 else 0.0


def _intake(content: PageContent) -> Markup | None:
    bars = []
    for one in content.intake:
        whole = one.rows_in or 1
        kept, merged = one.rows_kept / whole, one.rows_merged / whole
        bars.append(
            Row(
                one.source,
                f"{words.plural(one.rows_in, 'record')}, {words.size(one.n_bytes)}",
                (
                    Segment(0, kept, charts.KEPT),
                    Segment(kept, merged, charts.MERGED),
                    Segment(kept + merged, one.rows_quarantined / whole, charts.SET_ASIDE),
                ),
            )
        )
    legend = (("kept", charts.KEPT), ("there already", charts.MERGED), ("set aside", charts.SET_ASIDE))
    alt = "What came in, by source. " + "; ".join(
        f"{one.source}: {number(one.rows_in)} records, {number(one.rows_kept)} kept, "
        f"{number(one.rows_merged)} there already, {number(one.rows_quarantined)} set aside"
        for one in content.intake
    )
    return charts.rows(bars, alt=words.clean(alt), end=1, legend=legend) if bars else None


def _set_aside(content: PageContent) -> Markup | None:
    bars = [
        Row(
            f"{one.source} · {words.reason(one.reason_code)}",
            number(one.n),
            (Segment(0, one.n, charts.SET_ASIDE),),
        )
        for one in content.set_aside[:TOP_SET_ASIDE]
    ]
    alt = "Records set aside. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    return charts.rows(bars, alt=words.clean(alt)) if bars else None


def _checks(content: PageContent) -> Markup | None:
    bars = []
    for one in content.checks:
        whole = one.n_passed + one.n_failed
        if whole:
            passed = one.n_passed / whole
            segments = (Segment(0, passed), Segment(passed, 1 - passed, ORANGE))
            failed = f"{number(one.n_failed)} of {number(whole)} failed"
            text = failed if one.n_failed else f"all {number(whole)} passed"
            bars.append(Row(words.table(one.table), text, segments))
    alt = "Checks passed, by table. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    legend = (("passed", charts.KEPT), ("failed", ORANGE))
    return charts.rows(bars, alt=alt, end=1, legend=legend) if bars else None


def _changes(content: PageContent) -> Markup | None:
    few = f"<{content.night.small_count}"
    bars = []
    for one in content.changes:
        parts = (one.n_inserted, one.n_updated, one.n_deleted)
        signs = zip("+~−", parts, strict=True)
        text = "  ".join(f"{sign}{few if n is None else number(n)}" for sign, n in signs if n != 0)
        starts = (0, parts[0] or 0, (parts[0] or 0) + (parts[1] or 0))
        colors = (charts.INSERTED, charts.UPDATED, charts.DELETED)
        segments = tuple(
            Segment(start, n, color) for start, n, color in zip(starts, parts, colors, strict=True) if n
        )
        bars.append(Row(one.table, text, segments or None))
    legend = (("+ new", charts.INSERTED), ("~ corrected", charts.UPDATED), ("− deleted", charts.DELETED))
    alt = "Rows changed by table. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    return charts.rows(bars, alt=alt, legend=legend) if bars else None


def _steps(content: PageContent) -> Markup | None:
    bars = [
        Row(
            f"{one.step} · {one.status}" if one.status != "done" else one.step,
            words.duration(one.seconds),
            (Segment(one.offset_seconds, one.seconds),),
        )
        for one in content.steps
    ]
    alt = "Steps of the night and their durations. " + "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    return charts.rows(bars, alt=alt) if bars else None

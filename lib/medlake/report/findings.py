"""The titles of the page: each says what its chart shows, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator

from medlake.report import words
from medlake.report.content import Metric, PageContent, Task
from medlake.report.words import NBSP, number, people, percent

CLEAN = 0.95  # share of records without a remark that deserves no warning
VERDICTS = (
    (0.6, "hardly better than chance"),
    (0.7, "weak"),
    (0.8, "fair"),
    (0.9, "good"),
    (float("inf"), "very good"),
)
GOOD_SLOPE = (0.8, 1.25)  # calibration slopes in between are about right


def in_short(content: PageContent) -> list[str]:
    """The night in a few sentences, for somebody with one minute."""
    return [sentence for sentence in _short_sentences(content) if sentence]


def _short_sentences(content: PageContent) -> Iterator[str]:
    if content.n_persons:
        n = people(content.n_persons, small_count=content.night.small_count)
        sources = words.plural(len(content.persons_by_source), "source")
        yield f"The lake knows {n} people from {sources}."
    yield intake(content)
    yield quality(content) if content.quality else ""
    if content.groups.groups:
        yield groups(content)
    if content.rules:
        yield associations(content)
    for task in content.tasks:
        yield in_brief(task) if best_model(task) else ""


def ages(content: PageContent) -> str:
    """Which age is most frequent, or that ages are not known."""
    by_band: dict[str, int] = {}
    for cell in content.age_sex:
        by_band[cell.band] = by_band.get(cell.band, 0) + (cell.n or 0)
    known = {band: n for band, n in by_band.items() if band != "unknown"}
    if not any(known.values()):
        return "Ages are not known"
    return f"The largest age group is {max(known, key=lambda band: known[band])} years"


def sources(content: PageContent) -> str:
    """Which source knows most people."""
    shown = [one for one in content.persons_by_source if one.n is not None]
    if not shown:
        return "People by source"
    most = max(shown, key=lambda one: (one.n or 0, one.name))
    return f"{words.plain(most.name)} brought most people"


def conditions(content: PageContent) -> str:
    """The most frequent diagnosis."""
    if not content.conditions:
        return "No diagnosis is recorded for enough people"
    return f"{words.short(words.plain(content.conditions[0].name))} is recorded most often"


def quality(content: PageContent) -> str:
    """The share of records without a remark."""
    n_rows = sum(one.n_rows for one in content.quality)
    if not n_rows:
        return "There are no records yet"
    share = 1 - sum(one.n_flagged or 0 for one in content.quality) / n_rows
    verdict = "" if share >= CLEAN else "; look at the remarks before you rely on them"
    return f"{percent(share)} of the records are without any remark{verdict}."


def images(content: PageContent) -> str:
    """How many images, and of which kind most."""
    total = sum(one.n_images for one in content.modalities)
    most = max(content.modalities, key=lambda one: (one.n_images, one.modality))
    return f"{words.plural(total, 'image')}, most of them {words.lower_first(words.modality(most.modality))}"


def groups(content: PageContent) -> str:
    """How many groups of similar people."""
    return f"The people with visits fall into {words.plural(len(content.groups.groups), 'group')}."


def separateness(content: PageContent) -> str:
    """How far apart and how stable the groups are, in words."""
    silhouette, stability = content.groups.silhouette, content.groups.stability
    if silhouette is None:
        return ""
    apart = "clearly apart" if silhouette >= 0.5 else "partly apart" if silhouette >= 0.25 else "overlapping"
    text = f"The groups are {apart} (silhouette {silhouette:.2f}; 1 would be perfectly apart, 0 not at all)"
    if stability is None:
        return f"{text}."
    return f"{text}; groupings of two halves of the people agree to {stability:.2f} (1: fully)."


def associations(content: PageContent) -> str:
    """The strongest association."""
    return f"Strongest association: {words.lower_first(words.association(content.rules[0]))}"


def best_model(task: Task) -> str:
    """The model with the highest AUROC; the first by name among equals."""
    scored = [one for one in task.metrics if one.metric == "auroc"]
    return min(scored, key=lambda one: (-one.value, one.model)).model if scored else ""


def metric(task: Task, model: str, name: str) -> Metric | None:
    """One figure of one model, if it was computed."""
    return next((one for one in task.metrics if one.model == model and one.metric == name), None)


def separation(task: Task) -> str:
    """How well the best model tells people apart, as pairs of people."""
    best = best_model(task)
    found = metric(task, best, "auroc")
    if found is None:
        return "No model could be judged."
    pairs = min(99, round(100 * found.value))
    return (
        f"{words.model(best)} does best. Of 100 pairs of one person with and one without the outcome "
        f"it ranks {pairs} in the right order, which is {verdict(found)} ({words.auroc(found)})."
    )


def verdict(auroc: Metric) -> str:
    """An AUROC in words, with what it could be at the lower end of its interval."""
    value, lower = (
        next(text for limit, text in VERDICTS if figure < limit)
        for figure in (auroc.value, auroc.value if auroc.lower is None else auroc.lower)
    )
    return value if value == lower else f"{value}, though it could be {lower}"


def in_brief(task: Task) -> str:
    """The best model of a task in half a line."""
    best = best_model(task)
    found = metric(task, best, "auroc")
    return f"{task.title}: {verdict(found)} ({words.model(best)}, {words.auroc(found)})." if found else ""


def calibration(task: Task) -> str:
    """Whether the best model's risks can be taken at their word."""
    slope = metric(task, best_model(task), "calibration_slope")
    if slope is None:
        return "Does a risk of 30 % mean 30 %?".replace(" %", f"{NBSP}%")
    low, high = GOOD_SLOPE
    if slope.value < low:
        return "Its risks are too extreme"
    if slope.value > high:
        return "Its risks are too cautious"
    return "Its risks can be taken at their word"


def intake(content: PageContent) -> str:
    """How many records came in and what became of them."""
    rows_in = sum(one.rows_in for one in content.intake)
    if not rows_in:
        return "Nothing came in this night."
    aside = sum(one.rows_quarantined for one in content.intake)
    merged = sum(one.rows_merged for one in content.intake)
    files = words.plural(sum(one.n_files for one in content.intake), "file")
    doubled = f", {number(merged)} were there already" if merged else ""
    return (
        f"{words.plural(rows_in, 'record')} came in with {files}; "
        f"{number(aside)} ({percent(aside / rows_in)}) were set aside{doubled}."
    )


def checks(content: PageContent) -> str:
    """How many checks passed."""
    failed = sum(one.n_failed for one in content.checks)
    told = sum(one.n_passed for one in content.checks) + failed
    rest = f"{number(failed)} failed" if failed else "none failed"
    return f"{words.plural(told, 'check')} of {words.plural(len(content.checks), 'table')} could be told; {rest}."


def changes(content: PageContent) -> str:
    """How much of the lake the night changed."""
    if not content.changes:
        return "The night changed no row"
    total = sum(n or 0 for one in content.changes for n in (one.n_inserted, one.n_updated, one.n_deleted))
    if not total:
        return f"A few rows changed in {words.plural(len(content.changes), 'table')}"
    return f"{words.plural(total, 'row')} changed in {words.plural(len(content.changes), 'table')}"


def timings(content: PageContent) -> str:
    """How long the night took, and its longest step."""
    longest = max(content.steps, key=lambda one: (one.seconds, one.step))
    end = max(one.offset_seconds + one.seconds for one in content.steps)
    return f"{words.duration(end)} in all; {longest.step} took longest ({words.duration(longest.seconds)})"


def without_age(content: PageContent) -> str:
    """How many people the picture of ages leaves out."""
    left_out = sum(
        one.n or 0 for one in content.age_sex if one.band == "unknown" or one.sex not in ("women", "men")
    )
    return f". Not drawn: {number(left_out)} people whose age or sex is not recorded" if left_out else ""


def reasons_unit(task: Task) -> str:
    """How to read the weights of the best model."""
    of_best = [one.kind for one in task.reasons if one.model == best_model(task)]
    if "coefficient" in of_best:
        return "Coefficients: change of the log-odds for one standard deviation; orange raises, blue lowers"
    return "Importances: share of the model's work done by each feature; they have no direction"


def models(task: Task) -> list[str]:
    """The task's models, best AUROC first."""
    names = dict.fromkeys(one.model for one in task.metrics)
    scores = {name: metric(task, name, "auroc") for name in names}
    return sorted(names, key=lambda name: (-(one.value if (one := scores[name]) else 0.0), name))


def metric_names(task: Task) -> list[str]:
    """The figures of merit that were computed, in the order a reader expects."""
    order = ("auroc", "auprc", "accuracy", "brier", "calibration_slope", "calibration_intercept")
    have = {one.metric for one in task.metrics}
    return [name for name in order if name in have] + sorted(have.difference(order))


def n_of(task: Task, model: str) -> int:
    """How many people a model was judged on."""
    return max(one.n for one in task.metrics if one.model == model)

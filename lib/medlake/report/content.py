"""What the page of a night says, as small Python values.

Every count of people is either an exact number that may be published or None, with a mark that says why it is
not shown (`<11` or `hidden`). Counts of records, files, bytes and seconds are not of people and are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from medlake.report import work
from medlake.report.care import Care, Rule


@dataclass(frozen=True)
class Night:
    """The night itself. `finished_at` is UTC text; `notice` is a banner such as "synthetic people".

    Counts of people below `small_count` are not shown.
    """

    night_id: str
    finished_at: str
    code_version: str
    notice: str = ""
    small_count: int = 11


@dataclass(frozen=True)
class AgeSex:
    """People of one age band (years at their last record) and sex."""

    band: str
    sex: str
    n: int | None
    n_mark: str | None = None


@dataclass(frozen=True)
class Named:
    """People that share one named thing: a source, a condition."""

    name: str
    n: int | None
    n_mark: str | None = None


@dataclass(frozen=True)
class YearCount:
    """Records of one kind in one (shifted) year."""

    kind: str
    year: int
    n: int


@dataclass(frozen=True)
class TableQuality:
    """Records of one clean table and how many carry a remark; None: a few people, where a row is a person."""

    table: str
    n_rows: int
    n_flagged: int | None


@dataclass(frozen=True)
class Flag:
    """Records of one table that carry one remark; None with a mark: a few people, where a row is a person."""

    table: str
    flag: str
    n: int | None
    n_mark: str | None = None


@dataclass(frozen=True)
class Modality:
    """Images of one kind: DICOM modality code, counts of objects, bytes, and people."""

    modality: str
    n_images: int
    n_series: int
    n_bytes: int
    n: int | None
    n_mark: str | None = None


@dataclass(frozen=True)
class Thumbnail:
    """One small de-identified picture (PNG bytes)."""

    modality: str
    png: bytes


@dataclass(frozen=True)
class Difference:
    """How one feature of a group differs from the other people, in standard deviations.

    Means are in `unit`; with `is_share` they are shares of people, and `mean` is None where it stands for few
    people: `mean_bound` is then `low` (few have it) or `high` (few have it not).
    """

    feature: str
    effect_size: float
    mean: float | None
    overall_mean: float
    unit: str = ""
    is_share: bool = False
    mean_bound: str | None = None


@dataclass(frozen=True)
class Group:
    """A group of similar people: centre and covariance on two principal components, what sets it apart.

    A group of few people is not drawn: its centre and spread would describe them.
    """

    cluster: int
    n: int | None
    n_mark: str | None
    x: float
    y: float
    xx: float
    xy: float
    yy: float
    differences: tuple[Difference, ...] = ()
    is_drawn: bool = True


@dataclass(frozen=True)
class Groups:
    """The chosen grouping; `reason` says why this number. Silhouette and stability are at most 1."""

    groups: tuple[Group, ...] = ()
    silhouette: float | None = None
    stability: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Metric:
    """One figure of one model with its 95 % interval; null bounds mean that none was computed."""

    model: str
    metric: str
    value: float
    lower: float | None
    upper: float | None
    n: int


@dataclass(frozen=True)
class Curve:
    """A line of one model: ROC, precision over recall, or the observed share over the predicted risk."""

    model: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Reason:
    """How strongly one feature drives one model; `kind` is "coefficient" or "importance"."""

    model: str
    feature: str
    weight: float
    kind: str


@dataclass(frozen=True)
class Subgroup:
    """How well one model does in one subgroup; null figures mean too few people to say."""

    model: str
    subgroup: str
    level: str
    n: int | None
    n_mark: str | None
    auroc: float | None


@dataclass(frozen=True)
class Task:
    """One question put to the models."""

    task: str
    title: str
    question: str
    not_for: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    roc: tuple[Curve, ...] = ()
    pr: tuple[Curve, ...] = ()
    calibration: tuple[Curve, ...] = ()
    reasons: tuple[Reason, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()


@dataclass(frozen=True)
class PageContent:
    """Everything one page says. Empty tuples are said in words ("no images yet")."""

    night: Night
    n_persons: int | None = None
    n_in_several_sources: int | None = None
    years: tuple[int, int] | None = None
    age_sex: tuple[AgeSex, ...] = ()
    persons_by_source: tuple[Named, ...] = ()
    conditions: tuple[Named, ...] = ()
    records_by_year: tuple[YearCount, ...] = ()
    quality: tuple[TableQuality, ...] = ()
    flags: tuple[Flag, ...] = ()
    modalities: tuple[Modality, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()
    groups: Groups = field(default_factory=Groups)
    rules: tuple[Rule, ...] = ()
    care: Care = field(default_factory=Care)
    tasks: tuple[Task, ...] = ()
    intake: tuple[work.Intake, ...] = ()
    set_aside: tuple[work.SetAside, ...] = ()
    refusals: tuple[work.Refusal, ...] = ()
    weights: tuple[work.Weighed, ...] = ()
    checks: tuple[work.TableChecks, ...] = ()
    failed_checks: tuple[work.FailedCheck, ...] = ()
    changes: tuple[work.Change, ...] = ()
    steps: tuple[work.StepRun, ...] = ()
    versions: tuple[work.TableVersion, ...] = ()

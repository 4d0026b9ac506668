"""A config -> a folder of results: the whole pipeline on one screen, and what ``check`` and ``report`` do with parts of it."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from segmentor.assignment import assign_all
from segmentor.candidates import find_candidates
from segmentor.cross_sell import find_rules
from segmentor.cycles import build_cycles
from segmentor.engine.duckdb import open_engine, refuse_unbuilt
from segmentor.errors import InputError
from segmentor.intake import input_files, load_tables
from segmentor.report import render_report
from segmentor.result import EVERYBODY, FORMAT, Quality, RunResult, Search, from_json, to_json
from segmentor.segments import find_segments, make_members, segments_json, segments_sql, translations
from segmentor.splits import clustering_features, declared_splits, make_label_sources
from segmentor.staging import staged_folder
from segmentor.starting.wanting import wanting
from segmentor.tables import bundles_csv, cross_sell_csv, habits_csv, ledger_csv, trials_csv
from segmentor.trials import gather_sizes, run_trials
from segmentor.wording import Message, speaking

if TYPE_CHECKING:
    from segmentor.candidates import Candidates
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns
    from segmentor.engine.duckdb import Engine
    from segmentor.result import LeftOut
    from segmentor.splits import Split
    from segmentor.trials import Tried

PACKAGES = (
    *("segmentor", "duckdb", "hdbscan", "matplotlib", "mlxtend", "numpy", "pandas", "scikit-learn", "scipy", "sqlglot"),
    "umap-learn",
)
"""Packages whose versions a run writes down."""

Progress = Callable[[str], None]


def _silently(_stage: str) -> None:
    """Tells nobody."""


def run(config: ExperimentConfig, *, out: Path | None = None, progress: Progress = _silently) -> RunResult:
    """Runs an experiment and writes its folder, whole or not at all.

    Args:
        config: The experiment.
        out: Folder of the results; by default ``reports/<experiment>``.
        progress: Told each stage when it begins.

    Raises:
        InputError: The config, the data or the folder are wrong.
        SegmentorError: The run could not finish.
    """
    refuse_unbuilt(config)
    log = _Log(progress)
    progress = log.stage
    with staged_folder(output_folder(config, out)) as folder, _opened(config, folder.parent) as engine:
        intake = load_tables(engine, config, quarantine=folder / "quarantine", progress=progress)
        columns, cycle = build_cycles(engine, config, progress=progress)
        splits = declared_splits(config, columns)
        candidates = find_candidates(engine, config, columns, progress=progress)
        make_label_sources(engine, config, columns, (*splits, *candidates.splits))
        tried = run_trials(
            engine,
            config,
            columns,
            splits,
            attributes=candidates.attributes,
            observed_until=cycle.observed_until,
            progress=progress,
        )
        branches = tried.branches
        segments = find_segments(engine, branches)
        rules = bundles = None
        if config.cross_sell is not None:
            progress("cross-sell rules")
            members = make_members(engine, config, [branch.fork for branch in branches])
            rules, bundles = find_rules(engine, config, segments=members, progress=progress)
        warnings = (*intake.warnings, *_snapshots(splits), *_not_tried(config))
        result = RunResult(
            experiment=config.experiment,
            title=config.title,
            language=config.language,
            seed=config.seed,
            config=config.resolved(),
            quality=Quality(intake.inputs, cycle, warnings),
            trials=tried.trials,
            ledger=tried.ledger,
            segments=segments,
            rules=rules,
            bundles=bundles,
            min_cell=config.privacy.min_cell,
            tree=tried.nodes,
            search=_search(config, candidates, tried),
            versions={name: version(name) for name in PACKAGES},
        )
        progress("report")
        _write(folder, result)
        statement = segments_sql(config, columns, [branch.fork for branch in branches])
        definitions = {
            "segments.json": segments_json(segments, config, branches),
            "segments.sql": statement,
            **translations(statement),
        }
        if config.privacy.assigned:
            definitions["assigned.csv"] = assign_all(engine, branches)
        for name, text in definitions.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        log.write(folder / "run.log")
        (folder / "manifest.json").write_text(_manifest(result), encoding="utf-8")
    return result


def output_folder(config: ExperimentConfig, out: Path | None) -> Path:
    """Where a run of the config puts its results."""
    return Path("reports") / config.experiment if out is None else out


@dataclass(frozen=True, slots=True)
class CheckedSplit:
    """A declared split as far as it can be seen without a test.

    Attributes:
        name: Of the split.
        known: When it is known.
        groups: Names and customers of its groups.
        note: Whether it can be tried, and how to restate it if not.
        restated: It as YAML that can be tried, where it cannot as it stands; ``None`` where there is no such text.
    """

    name: str
    known: str
    groups: tuple[tuple[str, int], ...]
    note: str
    restated: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedAttribute:
    """What would be gone through for candidates.

    Attributes:
        name: Of the column, the feature or what is bought together.
        known: When it is known.
        candidates: How many splits would be tried of it.
        cut: Whether it is a number, of which a threshold would be looked for.
    """

    name: str
    known: str
    candidates: int
    cut: bool


@dataclass(frozen=True, slots=True)
class CheckedClustering:
    """What customers would be clustered by.

    Attributes:
        known: When it is known.
        methods: Of clustering.
        features: Names of the features.
        candidates: How many rules there may be at most.
    """

    known: str
    methods: tuple[str, ...]
    features: tuple[str, ...]
    candidates: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What ``check`` found.

    Attributes:
        quality: Of the data.
        splits: The declared ones.
        attributes: What ``splits.enumerated`` would try beyond them.
        left_out: What it would not try, and why.
        clustering: What ``splits.clustered`` would try; ``None`` where it is off.
        wanting: What the data do not allow, and what would have to be added.
    """

    quality: Quality
    splits: tuple[CheckedSplit, ...]
    attributes: tuple[CheckedAttribute, ...]
    left_out: tuple[LeftOut, ...]
    clustering: CheckedClustering | None
    wanting: tuple[str, ...] = ()


def check(config: ExperimentConfig, *, progress: Progress = _silently) -> CheckResult:
    """Reads the data, labels the customers and goes through the attributes; tests nothing and clusters nobody.

    Raises:
        InputError: The config or the data are wrong.
    """
    refuse_unbuilt(config)
    with tempfile.TemporaryDirectory(prefix="segmentor-") as scratch, _opened(config, Path(scratch)) as engine:
        intake = load_tables(engine, config, quarantine=Path(scratch) / "quarantine", progress=progress)
        columns, cycle = build_cycles(engine, config, progress=progress)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        found = []
        for split, groups, obstacle in gather_sizes(
            engine, config, splits, observed_until=cycle.observed_until, progress=progress
        ):
            possible = (
                "a threshold is chosen in one half of the customers and tested in the other"
                if split.to_cut
                else "can be tried"
            )
            found.append(
                CheckedSplit(
                    split.name,
                    split.known,
                    tuple((group.name, group.customers) for group in groups),
                    possible if obstacle is None else f"{obstacle[0]}: {obstacle[1]}",
                    split.restated,
                )
            )
        clustering = _clustering(engine, config, columns)
        enumerated = config.model_copy(update={"splits": config.splits.model_copy(update={"clustered": None})})
        candidates = find_candidates(engine, enumerated, columns, progress=progress)
    warnings = (*intake.warnings, *_snapshots(splits), *_not_tried(config))
    attributes = [
        CheckedAttribute(one.name, one.splits[0].known, len(one.splits), one.numbers is not None)
        for one in candidates.attributes
    ]
    quality = Quality(intake.inputs, cycle, warnings)
    missing = wanting(config, columns, cycle)
    return CheckResult(quality, tuple(found), tuple(attributes), candidates.left_out, clustering, missing)


def _clustering(engine: Engine, config: ExperimentConfig, columns: Columns) -> CheckedClustering | None:
    asked = config.splits.clustered
    if asked is None:
        return None
    features = clustering_features(engine, config, columns)
    return CheckedClustering(str(asked.known), asked.methods, features, len(asked.methods) * asked.max_clusters)


def redraw(run_dir: Path, *, language: str | None = None) -> Path:
    """Draws the report again from ``results.json``.

    Args:
        run_dir: Folder of a run.
        language: One of ``LANGUAGES``; by default that of the run.

    Raises:
        InputError: The folder holds no results, or results of another format.
    """
    path = run_dir / "results.json"
    if not (run_dir / "manifest.json").is_file() or not path.is_file():
        raise InputError(
            f"{run_dir}: is no folder of a finished run (no manifest.json); give the folder that segmentor run wrote"
        )
    result = from_json(path.read_text(encoding="utf-8"))
    report = run_dir / "report.html"
    staged = run_dir / ".report.html.part"
    staged.write_text(render_report(replace(result, language=language or result.language)), encoding="utf-8")
    staged.replace(report)
    return report


def quality_json(quality: Quality) -> str:
    """``quality.json``: what was read, kept, filtered and quarantined of each input, what the cycles were made of, and warnings."""
    content = {"format": FORMAT, **asdict(quality), "warnings": [str(warning) for warning in quality.warnings]}
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


class _Log:
    """Times of the stages, on their way to whoever follows the progress: the one place of a run that looks at clock and machine."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = datetime.now(UTC)
        self._stages: list[tuple[float, str]] = []
        self._clock = time.perf_counter()

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._stages.append((time.perf_counter() - self._clock, name))
        self._progress(name)

    def write(self, path: Path) -> None:
        """Write start, machine, and how long each stage took."""
        ends = [begun for begun, _ in self._stages[1:]] + [time.perf_counter() - self._clock]
        lines = [
            f"started {self._started.isoformat(timespec='seconds')}",
            f"machine {platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors",
            *(f"{end - begun:9.2f} s  {name}" for (begun, name), end in zip(self._stages, ends, strict=True)),
            f"{ends[-1]:9.2f} s  in all",
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def _opened(config: ExperimentConfig, private: Path) -> Iterator[Engine]:
    """An engine whose database lies in a private folder, which the caller removes."""
    scratch = private / "scratch"
    scratch.mkdir(mode=0o700)
    with open_engine(scratch=scratch, inputs=input_files(config)) as engine:
        yield engine


def _search(config: ExperimentConfig, candidates: Candidates, tried: Tried) -> Search | None:
    """What was gone through to find splits; ``None`` where only declared ones were tried."""
    if config.splits.enumerated is None and config.splits.clustered is None:
        return None
    return Search(
        tried=sum(trial.source != "declared" and trial.segment == EVERYBODY for trial in tried.trials),
        left_out=(*candidates.left_out, *tried.untried),
        clusterings=candidates.clusterings,
    )


def _not_tried(config: ExperimentConfig) -> list[Message]:
    """Sections of the config that this version reads and does not act on."""
    sections = {
        "data.contacts": config.data.contacts,
    }
    return [
        Message("{section} is set, and this version does not act on it.", {"section": name})
        for name, section in sections.items()
        if section
    ]


def _snapshots(splits: Sequence[Split]) -> list[Message]:
    """What nobody but the owner of a customers' table can know."""
    return [
        Message(
            "The split {split} reads the customers' table and is declared as known on {date}: the values must be those of that day. "
            "Today's would be made of the purchases that test them.",
            {"split": split.name, "date": split.since},
        )
        for split in splits
        if split.since is not None and split.is_of_a_snapshot
    ]


def _write(folder: Path, result: RunResult) -> None:
    files = {
        "results.json": to_json(result),
        "report.html": render_report(result),
        "trials.csv": trials_csv(result),
        "ledger.csv": ledger_csv(result),
        "habits.csv": habits_csv(result),
        "cross_sell.csv": cross_sell_csv(result),
        "bundles.csv": bundles_csv(result),
    }
    with speaking(result.language):
        files["quality.json"] = quality_json(result.quality)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _manifest(result: RunResult) -> str:
    content = {
        "format": FORMAT,
        "experiment": result.experiment,
        "seed": result.seed,
        "config": result.config,
        "inputs": {
            name: {"rows": one.read, "fingerprint": one.fingerprint} for name, one in result.quality.inputs.items()
        },
        "versions": result.versions,
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"

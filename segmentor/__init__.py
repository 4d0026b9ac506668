"""Decides which candidate splits of customers separate purchase cycles, says why, and how sure it is.

The map, in the order in which a run passes through it:

- `config`: one YAML file becomes one frozen `ExperimentConfig`; every error names file, line and key.
- `engine`: the only code that knows a database; conditions of the config are parsed there.
- `intake`: files become tables of text-exact rows; what cannot be used goes to quarantine with its reason.
- `cycles`: transactions become purchases, occasions and the gaps between them, with cohort and half of each customer.
- `features`: numbers that say what a customer's purchases were like until a label is known.
- `splits`: the splits of the config become SQL that gives each customer a group.
- `clustering`: customers who are alike, found from their features and said as short rules.
- `candidates`: everything by which customers might be split, beside what the config declares.
- `statistics`: pure functions on counts and sums: survival, score tests, intervals, multiplicity, association.
- `populations`: gaps become customers' scores, before any label is seen.
- `labelling`: a split's groups among the customers of a population, and whether they can be compared.
- `gap_sums`: sums over the gaps of labelled customers, which stay in the engine.
- `effects`: how many of each group come back and how soon.
- `evidence`: group sums are tested, effects measured.
- `echo`: whether groups of timing say more than how often somebody bought before.
- `discovery`: what one half of the customers suggests: candidates worth a test, cutpoints, groups to merge.
- `tree`: splits below splits, grown whole on that half.
- `verdicts`: test and effects become a verdict with its reasons.
- `attributes`: which columns say where a customer lives, by which channel one came, what a line is.
- `habits`: what else the groups of a split do differently once its label is known.
- `crossover`: the label of the first purchases against that of the next.
- `robustness`: the effect of a split again in parts of the customers and of the time.
- `dealing`: what a label of many purchases shows when products mean nothing.
- `beside`: the last four of a split, which stand beside its verdict; dealt labels may leave it open.
- `confirmation`: what discovery suggests is tested once, on the customers of the other half.
- `other_halves` and `pruning`: the same had the halves been drawn otherwise, and the tree that stands.
- `trials`: all of this for every split, a declared one once, a found one in the half that did not suggest it.
- `ledger`: every test with its place in the correction for many.
- `segments`: splits that hold, one below the other, become definitions, words, and one SQL statement for each system.
- `assignment`: the definitions of an earlier run give each customer its segment, and its rules what to offer.
- `comparison`: what changed from one run to another, and where its customers went.
- `cross_sell`: association rules found in one half of the customers and tested in the other.
- `result`: everything that a run found, as plain records and as JSON.
- `wording`: sentences in the language of the report, with the catalog of the Chinese ones.
- `tables` and `report`: the result as CSV and as one self-contained HTML file.
- `experiment`: the whole of it on one screen.
- `staging`: the folder of results appears whole or not at all.
- `synthetic` and `example`: shops with a known truth, and real data to try.
- `starting`: a first config for data of which nothing is known.
- `selftest`: the error rates of all this, counted on shops with a known truth.
- `cli` and `console`: the commands, and what they show in a terminal.

From Python:

    from segmentor import load_config, run

    result = run(load_config("configs/laundry.yaml"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segmentor.config import load_config
    from segmentor.experiment import run
    from segmentor.result import RunResult

__version__ = "0.1.0"

__all__ = ["RunResult", "__version__", "load_config", "run"]

_HOMES = {"RunResult": "segmentor.result", "load_config": "segmentor.config", "run": "segmentor.experiment"}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import segmentor` itself loads no heavy library."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

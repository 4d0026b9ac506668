"""The words of a page that not everybody knows, as far as they stand on it, each in a sentence or two."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from segmentor.report.ledger import carded
from segmentor.report.saying import say
from segmentor.report.vocabulary import VERDICTS
from segmentor.report.words import is_echo
from segmentor.result import RunResult
from segmentor.wording import gettext


@dataclass(frozen=True, slots=True)
class Term:
    """A word and what it means here.

    Attributes:
        key: By which the page links to it.
        name: The word.
        meaning: One or two sentences.
    """

    key: str
    name: Markup
    meaning: Markup


@dataclass(frozen=True, slots=True)
class Topic:
    """Words that belong together."""

    title: Markup
    terms: list[Term]


def topics(result: RunResult) -> list[Topic]:
    """The words of a result's page, by what they are about."""
    found = [
        Topic(say("Purchases"), _of_purchases()),
        Topic(say("Splits and groups"), _of_splits(result)),
        Topic(say("Tests and verdicts"), [*_of_verdicts(), *_of_tests(result)]),
        Topic(say("What the data suggest"), _of_search(result)),
        Topic(say("Beside the verdict"), _of_what_stands_beside(result)),
        Topic(say("Cross-sell"), _of_rules(result)),
    ]
    return [topic for topic in found if topic.terms]


def _of_purchases() -> list[Term]:
    return [
        Term("occasion", say("Occasion"), say("All that one customer bought on one day of the shop.")),
        Term(
            "cycle",
            say("Purchase cycle"),
            say("The days from one occasion of a customer to the next."),
        ),
        Term(
            "open-cycle",
            say("Open cycle (censored)"),
            say(
                "A customer's last cycle, which had not ended when the data end. It counts as far as it was seen: so many days without "
                "a purchase."
            ),
        ),
        Term(
            "at-risk",
            say("Customers at risk"),
            say(
                "Those of whom a cycle is still open on a day, and still watched. The fewer they are, the less sure the curve is there."
            ),
        ),
        Term(
            "return-curve",
            say("Return curve"),
            say(
                "By each day since a purchase, the share of customers who have bought again. A curve that is higher early on is one of "
                "customers who come back sooner."
            ),
        ),
        Term(
            "share-back",
            say("Share back"),
            say("Share of typical customers who have bought again by a day, counted from a purchase."),
        ),
        Term(
            "mean-cycle",
            say("Mean cycle of those back"),
            say("How many days those customers took, on average, who were back by that day."),
        ),
        Term(
            "horizon",
            say("Horizon"),
            say(
                "The day by which share back and mean cycle are read: nine in ten of the returns that were seen had happened by then, "
                "and it is earlier where a group was not watched so long."
            ),
        ),
        Term(
            "typical-customer",
            say("Typical customer"),
            say("Every customer weighs the same, however often he or she buys."),
        ),
        Term(
            "cohort",
            say("Cohort"),
            say("Customers who began in the same period. Groups are compared within cohorts only."),
        ),
    ]


def _of_splits(result: RunResult) -> list[Term]:
    found = [
        Term(
            "split",
            say("Split"),
            say("A way to part customers into groups, with a statement of when a customer's group is known."),
        ),
        Term(
            "segment",
            say("Segment"),
            say("A group of customers whom the splits that hold leave together. Each customer is in exactly one."),
        ),
        Term(
            "not-yet-known",
            say("Not yet known"),
            say(
                "Customers of whom it cannot be told yet to which group they belong: they have not bought enough, or no group applies."
            ),
        ),
        Term(
            "ratio",
            say("Ratio of the mean cycles"),
            say(
                "Mean cycle of the second group over that of the first: 1.18 means cycles that are 18\N{NO-BREAK SPACE}% longer."
            ),
        ),
    ]
    if result.search is not None or any(trial.source != "declared" for trial in result.trials):
        found.append(
            Term(
                "declared",
                say("Declared and found"),
                say(
                    "Declared: stated in the config before looking. Found: suggested by the data, chosen in one half of the customers."
                ),
            )
        )
    return found


def _of_verdicts() -> list[Term]:
    return [
        Term(
            verdict,
            say('{label} <span class="quiet">({code})</span>', label=gettext(said.label), code=verdict),
            say(said.meaning),
        )
        for verdict, said in VERDICTS.items()
    ]


def _of_tests(result: RunResult) -> list[Term]:
    found = [
        Term(
            "minimum-effect",
            say("Minimum effect"),
            say(
                "The smallest difference that one would act on, as the config states it. What was shown to be smaller does not matter, "
                "and what was not shown to reach it is not called a difference."
            ),
        ),
        Term(
            "margin",
            say("Margin"),
            say(
                "The same minimum seen from within: groups are alike when their whole interval lies between the margins."
            ),
        ),
        Term(
            "interval",
            say("95\N{NO-BREAK SPACE}% interval"),
            say("A range that holds the true value 95 times in 100. Customers are the unit: one customer counts once."),
        ),
        Term(
            "p",
            say("<i>p</i>"),
            say(
                "How often chance alone gives a difference this large. A small <i>p</i> speaks for a difference, and does not say how large it is."
            ),
        ),
        Term(
            "p-adjusted",
            say("<i>p</i>, adjusted"),
            say("The same, raised for the number of splits asked about: who tries much finds something by chance."),
        ),
        Term(
            "halves",
            say("Halves"),
            say("Customers are parted in two at random by the seed; a finding must point the same way in both."),
        ),
        Term(
            "log-rank",
            say("Log-rank and Gehan"),
            say(
                "Two ways to score how soon a customer comes back: the first heeds differences at any day alike, the second those of the "
                "first days more."
            ),
        ),
    ]
    if result.ledger:
        found.append(
            Term(
                "holm",
                say("Holm, min-P, Benjamini-Yekutieli"),
                say(
                    "Ways to raise <i>p</i> for the number of tests, so that many tests make no more false alarms than one."
                ),
            )
        )
    return found


def _of_search(result: RunResult) -> list[Term]:
    found = []
    if result.search is not None or any(trial.source != "declared" for trial in result.trials):
        found += [
            Term(
                "candidate",
                say("Candidate"),
                say(
                    "A split that the data suggest: a value against the others, a cut of a number, things bought together, or the rule "
                    "of a cluster."
                ),
            ),
            Term(
                "discovery",
                say("Discovery half, screening"),
                say(
                    "All candidates are tried on one half of the customers; what stands out there is promoted to the other half."
                ),
            ),
            Term(
                "promoted",
                say("Promoted"),
                say("A candidate that stood out in screening, and so got its one test in the other half."),
            ),
            Term(
                "confirmation",
                say("Confirmation half"),
                say(
                    "The half of the customers that had no part in choosing a split, and gives it the one test that counts."
                ),
            ),
            Term(
                "resample",
                say("Resample"),
                say(
                    "The same customers drawn anew with replacement, to see what would have been chosen from others like them."
                ),
            ),
        ]
    if result.search is not None and result.search.clusterings:
        found += [
            Term(
                "cluster",
                say("Cluster"),
                say(
                    "Customers who resemble each other. A cluster is of use only as a rule that can be said, and the rule is what is "
                    "tried."
                ),
            ),
            Term(
                "stability",
                say("Stability of a cluster"),
                say(
                    "How much of a cluster comes back in resamples of the customers (Jaccard): 1 is all of it, below 0.6 means little."
                ),
            ),
            Term(
                "silhouette",
                say("Silhouette"),
                say(
                    "How much nearer customers are to their own cluster than to the next. It says nothing of their purchases, and "
                    "decides nothing."
                ),
            ),
        ]
    if any(is_echo(trial) for trial in result.trials):
        found.append(
            Term(
                "echo",
                say("Echo"),
                say(
                    "A split that only repeats how often and how recently customers had bought: it predicts, and tells nothing new."
                ),
            )
        )
    return found


def _of_what_stands_beside(result: RunResult) -> list[Term]:
    shown = carded(result)
    found = []
    if any(trial.crossover is not None for trial in shown):
        found += [
            Term(
                "crossover",
                say("Crossover"),
                say("The group by the first purchases against the group by as many purchases after them."),
            ),
            Term(
                "stickiness",
                say("Stickiness"),
                say(
                    "How much of the first label stays (Cohen's kappa): 0 where what comes next does not depend on it, 1 where it never "
                    "changes."
                ),
            ),
        ]
    if any(trial.habits for trial in shown):
        found += [
            Term(
                "habit",
                say("Habit"),
                say(
                    "Something beside the cycle in which groups may differ: order value, items, weekdays, what is bought, where."
                ),
            ),
            Term(
                "standard-deviations",
                say("In standard deviations"),
                say(
                    "A difference as a multiple of how much customers differ from each other: 0.2 is small, 0.8 is large."
                ),
            ),
        ]
    if any(trial.robustness for trial in shown):
        found.append(
            Term(
                "robustness",
                say("Robustness"),
                say(
                    "The effect again in parts of the customers and of the time: one that shows in all of them is no accident of one."
                ),
            )
        )
    if any(trial.dealt is not None for trial in shown):
        found.append(
            Term(
                "dealt",
                say("Dealt at random"),
                say(
                    "The baskets that make a label are dealt out anew among the orders. A label that separates even then tells how often "
                    "somebody bought, and not what."
                ),
            )
        )
    return found


def _of_rules(result: RunResult) -> list[Term]:
    if not result.rules and not result.bundles:
        return []
    return [
        Term(
            "rule",
            say("Rule"),
            say("Who buys the one buys the other, on the same occasion or next, more often than by habit."),
        ),
        Term(
            "confidence",
            say("Confidence"),
            say("Of those who bought the one, the share who bought the other too."),
        ),
        Term(
            "support",
            say("Support"),
            say("The share of all occasions, or of all customers, in which both are bought."),
        ),
        Term(
            "lift",
            say("Lift"),
            say(
                "How many times as often both are bought as they would be by habit: 1 is no more often, 2 is twice as often."
            ),
        ),
        Term(
            "by-habit",
            say("By habit"),
            say(
                "How often two things would be bought together or one after the other, by the customer's other occasions, the month and "
                "how much is bought."
            ),
        ),
        Term(
            "reachable",
            say("Reachable"),
            say("Customers who bought the one lately and have never bought the other, at the end of the period."),
        ),
    ]

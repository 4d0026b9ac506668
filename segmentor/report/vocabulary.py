"""Fixed wording of the page: verdicts, reasons, glossary and method."""

from __future__ import annotations

from dataclasses import dataclass

from segmentor.result import Verdict


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """A verdict for people: a sign that needs no colour, a label, and what it means."""

    sign: str
    label: str
    meaning: str


VERDICTS: dict[Verdict, VerdictWords] = {
    "separates": VerdictWords(
        "≠", "Separates", "The groups differ in how many customers come back or in how soon, by enough to act on."
    ),
    "equivalent": VerdictWords(
        "=", "Does not matter", "The groups were shown to be alike: what difference there is, is too small to act on."
    ),
    "inconclusive": VerdictWords(
        "?", "Cannot tell yet", "Neither a difference nor its absence could be shown with these customers."
    ),
    "untestable": VerdictWords("×", "Cannot be tested", "These data cannot answer the question as it was asked."),
}
"""In the order in which splits are shown."""

ECHO = "echo of past frequency"
"""Reason code of a split of which nothing is left among customers who bought as often and as recently."""

REASONS = {
    "circular": "The groups are made from the same purchases as the cycles; they would differ whatever customers do.",
    "not comparable": "The groups began in different periods: season or tenure cannot be told from the split.",
    "not significant": "A difference as large as this one also comes about by chance.",
    "not promoted": "Screening found nothing in it that was worth a confirming test.",
    "not confirmed": "One half of the customers suggested it, and the other half, which had no part in that, did not bear it out.",
    ECHO: "Among customers who had bought as often and as recently, nothing is left of it: it repeats what was known of their past "
    "purchases.",
    "labels dealt at random separate as much": "With baskets dealt at random the label separates as strongly: it tells how often "
    "somebody bought before, and this run cannot tell whether it says anything more.",
    "no threshold": "The column has no value that leaves a tenth of the customers on both sides.",
    "one group": "All customers are in one group: there is nothing to compare.",
    "too few events": "Too few customers came back to compare anything.",
    "too few customers": "Too few customers are in the groups.",
}
"""Reason codes in words; another code is shown as it is."""

ENDED = {
    "nothing passed": "no candidate stood out from what chance makes of so many",
    "too few customers": "too few customers to be parted once more",
    "max_depth": "as deep as the config lets the tree grow",
    "not confirmed": "not confirmed",
    "above was not confirmed": "a split above it was not confirmed",
}
"""Why a tree ends at a node, as part of a sentence; another reason is shown as it is."""

NOT_TESTED = "it could not be tested in the other half"
"""Why a split was dropped that nothing speaks against, as part of a sentence."""

SOURCES = {"declared": "declared", "enumerated": "made of the columns", "clustered": "from clusters"}
"""Where a candidate comes from, in a table; another source is shown as it is."""

KINDS = {
    "column": ("column", "columns"),
    "itemset": ("set of products", "sets of products"),
    "cluster": ("cluster", "clusters"),
}
"""What may have made no candidate, one and several; another kind is shown as it is."""

METHODS = {"kmeans": "k-means", "gmm": "Gaussian mixture", "hdbscan": "HDBSCAN on a UMAP embedding"}
"""Ways of clustering; another one is shown as it is."""

OFFERS = {
    "upsell": "a dearer one of the same category",
    "lateral": "another brand of the same category at a like price",
    "cross_category": "from another category",
}
"""What an offer is to what was bought, as part of a sentence; of an attachment nothing needs to be said."""

WORTH = (
    "what an offer would bring, did it work as the first purchase does by itself. Whoever buys the one may want the other anyway: what an "
    "offer adds can be told only by customers who are held out from it."
)
"""What the worth of a rule is and is not, after what it is called."""

NOTHING_SEPARATES = (
    "Nothing separates: no split showed a difference, in how many customers come back or in how soon, "
    "that is both sure and large enough to act on."
)

TAILS = {
    "type III": "its moments under permutation (Pearson type III)",
    "joint normal": "its moments under permutation (joint normal)",
    "permutation": "permuting customers within cohorts",
    "exact": "every way of dealing the groups out to the customers of each cohort (exact)",
    "chi-square": "a chi-square law, which many customers make good enough",
}
"""How the law of a test statistic was had."""

PARTS = {
    "cohort": "Customers who began in",
    "season": "Customers who began in",
    "region": "Customers of",
    "half of customers": "Half of the customers",
    "half of period": "Half of the period",
    "largest customers": "Without the largest customers",
}
"""Kinds of parts in which an effect is looked at again."""

STAGES = {
    "declared": "Declared splits, tested once on all customers",
    "discovery": "Found splits, screened in one half of the customers",
    "confirmation": "Found splits that were promoted, tested once in the other half",
}
"""Stages of the tests of a run, in order; another stage is shown as it is."""

WHY_NOT_NAIVE = (
    "It decides nothing: one customer's cycles resemble each other, and groups that began at different times differ "
    "anyway, so that it finds differences in shops that have none."
)

FIRST_ROWS = 15
"""Rows of a table that are seen at once; more are shown when asked for."""

MOST_ROWS = 200
"""Rows of a table on the page; longer ones are cut and say where the rest is."""

MOST_TESTS = 1_000
"""Rows of the ledger on the page."""

PAGE = {
    "contents": "Contents",
    "skip": "Skip to the report",
    "top": "Back to top",
    "theme": "Theme",
    "theme_system": "as the system",
    "theme_light": "light",
    "theme_dark": "dark",
    "find": "Find",
    "all": "all",
    "sort_by": "Sort by",
    "unsorted": "as given",
    "rows_shown": "{shown} of {all} rows",
    "rows_found": "{shown} of {found} rows found, {all} in all",
    "show_all": "Show all {found} rows",
    "show_fewer": "Show the first {first} rows",
    "save": "Data (CSV)",
}
"""Words of the page's frame and of what its script does; numbers stand in braces."""

TABLES = {
    "accounts": "Rows of each input: read, kept, filtered out and rejected",
    "alike": "Splits that do not matter",
    "bundles": "Sets of items",
    "by-day": "Share back by day",
    "candidates": "Candidates without a card",
    "cluster-rules": "Rules that say a cluster",
    "clusterings": "Ways of clustering",
    "cohorts": "Customers by the period in which they began",
    "crossover": "Next group of the customers of each first group",
    "effects": "Share back and mean cycle of each group",
    "habits": "Habits in which the groups differ",
    "in-segments": "Rules within segments",
    "ledger": "Tests of this stage",
    "offers": "Offers as arrows",
    "pairs": "Differences between pairs of groups",
    "parts": "The effect in parts of the customers",
    "repeating": "Splits that repeat another",
    "rules": "What is bought with what",
    "scores": "Scores of the test",
    "segments": "Segments at a glance",
    "speeds": "How soon the next is bought",
    "splits": "Splits at a glance",
}
"""What the rows of each kind of table are, for those who hear the page."""

TREE_CAPTION = (
    "Each box is a group of customers, and its bar the share of all customers that it holds. Boxes with a coloured edge are the segments; "
    "those in dashes were dropped, or wait for customers to become known."
)

GLOSSARY = (
    ("Occasion", "All that one customer bought on one day of the shop."),
    ("Cycle", "The days from one occasion of a customer to the next. The last one is open: it had not ended yet."),
    ("Split", "A way to part customers into groups, with a statement of when a customer's group is known."),
    ("Share back", "Share of typical customers who have bought again by a day, counted from a purchase."),
    ("Mean cycle of those back", "How many days those customers took, on average, who were back by that day."),
    ("Ratio", "Mean cycle of the second group over that of the first: 1.18 means cycles that are 18 % longer."),
    ("Interval", "Where the true value lies, 95 times in 100. Customers are the unit: one customer counts once."),
    ("Typical customer", "Every customer weighs the same, however often he or she buys."),
    ("p", "How often chance alone gives a difference this large. Adjusted: for the number of splits asked about."),
    ("Cohort", "Customers who began in the same period. Groups are compared within cohorts only."),
    ("Halves", "Customers are parted in two at random by the seed; a finding must point the same way in both."),
    (
        "Declared and found",
        "Declared: stated in the config before looking. Found: suggested by the data, chosen in one half of the customers.",
    ),
    (
        "Habit",
        "Something beside the cycle in which groups may differ: order value, items, weekdays, what is bought, where.",
    ),
    (
        "In standard deviations",
        "A difference as a multiple of how much customers differ from each other: 0.2 is small, 0.8 is large.",
    ),
    (
        "Candidate",
        "A split that the data suggest: a value against the others, a cut of a number, things bought together, or the rule of a cluster.",
    ),
    ("Screening", "Trying all candidates on one half of the customers; what stands out is promoted to the other half."),
    ("Confirmation", "The one test of a promoted split on the half of the customers that had no part in choosing it."),
    (
        "Resample",
        "The same customers drawn anew with replacement, to see what would have been chosen from others like them.",
    ),
    (
        "Cluster",
        "Customers who resemble each other. A cluster is of use only as a rule that can be said, and the rule is what is tried.",
    ),
    (
        "Stability of a cluster",
        "How much of a cluster comes back in resamples of the customers (Jaccard): 1 is all of it, below 0.6 means little.",
    ),
    (
        "Silhouette",
        "How much nearer customers are to their own cluster than to the next. It says nothing of their purchases, and decides nothing.",
    ),
    (
        "Echo",
        "A split that only repeats how often and how recently customers had bought: it predicts, and tells nothing new.",
    ),
    ("Crossover", "The group by the first purchases against the group by as many purchases after them."),
    (
        "Stickiness",
        "How much of the first label stays (Cohen's kappa): 0 where what comes next does not depend on it, 1 where it never changes.",
    ),
    (
        "By habit",
        "How often two things would be bought together or one after the other, by the customer's other occasions, the month and how much is bought.",
    ),
    ("Rule", "Who buys the one buys the other, on the same occasion or next, more often than by habit."),
    ("Reachable", "Customers who bought the one lately and have never bought the other, at the end of the period."),
    (
        "Holm, min-P, Benjamini-Yekutieli",
        "Ways to raise p for the number of tests, so that many tests make no more false alarms than one.",
    ),
)

HOW_TESTED = (
    "Each customer's cycles become a few scores that say whether the customer comes back sooner or later than others. "
    "The test of a split asks whether the scores of its groups differ by more than they would had the groups been dealt "
    "out at random among customers who began in the same period. So the number of a customer's purchases, and their "
    "likeness to each other, cannot pass for a difference between groups."
)
HOW_DECIDED = (
    "A split separates when its test holds after adjustment for all splits asked about, when both halves of the "
    "customers point the same way, and when the effect is large enough to act on. What was found in the data instead of "
    "declared is chosen in one half of the customers and has to hold in the other. A split does not matter when its effect "
    "was shown to be smaller than what counts."
)
HOW_ESTIMATED = (
    "Shares and cycles are of typical customers, by survival curves that take open cycles for what they are, within "
    "the period that was observed; nothing is extended beyond it. All groups are weighted to the same mix of beginnings."
)

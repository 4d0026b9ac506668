"""Fixed wording of the page, in English: verdicts, reasons, tables and method. ``gettext`` says it in the language of the report."""

from __future__ import annotations

from dataclasses import dataclass

from segmentor.result import Verdict
from segmentor.wording import marked, marked_many


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """A verdict for people: a sign that needs no colour, a label, and what it means."""

    sign: str
    label: str
    meaning: str


VERDICTS: dict[Verdict, VerdictWords] = {
    "separates": VerdictWords(
        "≠",
        marked("Separates"),
        marked("The groups differ in how many customers come back or in how soon, by enough to act on."),
    ),
    "equivalent": VerdictWords(
        "=",
        marked("Does not matter"),
        marked("The groups were shown to be alike: what difference there is, is too small to act on."),
    ),
    "inconclusive": VerdictWords(
        "?",
        marked("Cannot tell yet"),
        marked("Neither a difference nor its absence could be shown with these customers."),
    ),
    "untestable": VerdictWords(
        "×", marked("Cannot be tested"), marked("These data cannot answer the question as it was asked.")
    ),
}
"""In the order in which splits are shown."""

ECHO = "echo of past frequency"
"""Reason code of a split of which nothing is left among customers who bought as often and as recently."""

REASONS = {
    "circular": marked(
        "The groups are made from the same purchases as the cycles; they would differ whatever customers do."
    ),
    "not comparable": marked("The groups began in different periods: season or tenure cannot be told from the split."),
    "not significant": marked("A difference as large as this one also comes about by chance."),
    "not promoted": marked("Screening found nothing in it that was worth a confirming test."),
    "not confirmed": marked(
        "One half of the customers suggested it, and the other half, which had no part in that, did not bear it out."
    ),
    ECHO: marked(
        "Among customers who had bought as often and as recently, nothing is left of it: it repeats what was known of their past "
        "purchases."
    ),
    "labels dealt at random separate as much": marked(
        "With baskets dealt at random the label separates as strongly: it tells how often "
        "somebody bought before, and this run cannot tell whether it says anything more."
    ),
    "no threshold": marked("The column has no value that leaves a tenth of the customers on both sides."),
    "one group": marked("All customers are in one group: there is nothing to compare."),
    "too few events": marked("Too few customers came back to compare anything."),
    "too few customers": marked("Too few customers are in the groups."),
}
"""Reason codes in words, of which the first of a trial may be said beside it too; see ``CARRYING`` for others."""

CARRYING = {
    "every difference lies within the margins": marked("Every difference lies within the margins."),
    "significant and larger than the minimum effect": marked("Significant and larger than the minimum effect."),
    "significant, and not shown to exceed the minimum effect": marked(
        "Significant, and not shown to exceed the minimum effect."
    ),
    "the two halves of customers point in different directions": marked(
        "The two halves of customers point in different directions."
    ),
    "too many groups": marked("Too many groups."),
    "nobody observed": marked("Nobody observed."),
    "reserved name": marked("Reserved name."),
    "group below {number} customers: {group}": marked("Group below {number} customers: {group}."),
}
"""Further reason codes, some with what they are about in braces; another code is shown as it is."""

OUTCOMES = {
    "significant": marked("significant"),
    "not significant": marked("not significant"),
    "promoted": marked("promoted"),
    "not promoted": marked("not promoted"),
    "not tested": marked("not tested"),
}
"""What became of a test; another outcome is shown as it is."""

INPUTS = {
    "transactions": marked("transactions"),
    "products": marked("products"),
    "customers": marked("customers"),
}
"""Inputs; another one is shown as it is."""

REJECTED = {
    "wrong_field_count": marked("wrong number of fields"),
    "undecodable_bytes": marked("bytes of another encoding"),
    "nul_byte": marked("NUL byte"),
    "row_too_long": marked("row too long"),
    "repeated_header": marked("header repeated"),
    "placeholder_date": marked("date that only fills the field"),
    "unreadable_date": marked("date cannot be read"),
    "date_out_of_range": marked("date out of range"),
    "future_date": marked("date in the future"),
    "missing_time": marked("no time"),
    "missing_customer": marked("no customer"),
    "missing_order": marked("no order"),
    "missing_product": marked("no product"),
    "non_finite_amount": marked("amount is not finite"),
    "unreadable_amount": marked("amount cannot be read"),
    "amount_out_of_range": marked("amount out of range"),
    "non_finite_quantity": marked("quantity is not finite"),
    "unreadable_quantity": marked("quantity cannot be read"),
    "quantity_out_of_range": marked("quantity out of range"),
}
"""Why rows were rejected, by code; another code is shown alone."""

ENDED = {
    "nothing passed": marked("no candidate stood out from what chance makes of so many"),
    "too few customers": marked("too few customers to be parted once more"),
    "max_depth": marked("as deep as the config lets the tree grow"),
    "not confirmed": marked("not confirmed"),
    "above was not confirmed": marked("a split above it was not confirmed"),
}
"""Why a tree ends at a node, as part of a sentence; another reason is shown as it is."""

NOT_TESTED = marked("it could not be tested in the other half")
"""Why a split was dropped that nothing speaks against, as part of a sentence."""

SOURCES = {
    "declared": marked("declared"),
    "enumerated": marked("made of the columns"),
    "clustered": marked("from clusters"),
}
"""Where a candidate comes from, in a table; another source is shown as it is."""

KINDS = {
    "column": marked_many("column", "columns"),
    "itemset": marked_many("set of products", "sets of products"),
    "cluster": marked_many("cluster", "clusters"),
}
"""What may have made no candidate, one and several; another kind is shown as it is."""

METHODS = {
    "kmeans": marked("k-means"),
    "gmm": marked("Gaussian mixture"),
    "hdbscan": marked("HDBSCAN on a UMAP embedding"),
}
"""Ways of clustering; another one is shown as it is."""

OFFERS = {
    "upsell": marked("a dearer one of the same category"),
    "lateral": marked("another brand of the same category at a like price"),
    "cross_category": marked("from another category"),
}
"""What an offer is to what was bought, as part of a sentence; of an attachment nothing needs to be said."""

WORTH = marked(
    "what an offer would bring if it worked as well as buying the one does by itself. Whoever buys the one may want the other anyway: what "
    "an offer adds can be told only by customers who are held out from it."
)
"""What the worth of a rule is and is not, after what it is called."""

NOTHING_SEPARATES = marked(
    "Nothing separates: no split showed a difference, in how many customers come back or in how soon, "
    "that is both sure and large enough to act on."
)

TAILS = {
    "type III": marked("its moments under permutation (Pearson type III)"),
    "joint normal": marked("its moments under permutation (joint normal)"),
    "permutation": marked("permuting customers within cohorts"),
    "exact": marked("every way of dealing the groups out to the customers of each cohort (exact)"),
    "chi-square": marked("a chi-square law, which many customers make good enough"),
}
"""How the law of a test statistic was had."""

PARTS = {
    "cohort": marked("Customers who began in"),
    "season": marked("Customers who began in"),
    "region": marked("Customers of"),
    "half of customers": marked("Half of the customers"),
    "half of period": marked("Half of the period"),
    "largest customers": marked("Without the customers that weigh most in the test"),
}
"""Kinds of parts in which an effect is looked at again."""

STAGES = {
    "declared": marked("Declared splits, tested once on all customers"),
    "discovery": marked("Found splits, screened in one half of the customers"),
    "confirmation": marked("Found splits that were promoted, tested once in the other half"),
}
"""Stages of the tests of a run, in order; another stage is shown as it is."""

WHY_NOT_NAIVE = marked(
    "It decides nothing: one customer's cycles resemble each other, and groups that began at different times differ "
    "anyway, so that it finds differences in shops that have none."
)

LANGUAGE_TAGS = {"en": "en", "zh": "zh-Hans"}
"""What a browser calls the language of a page: by it the font and the breaks of lines are chosen."""

FIRST_ROWS = 15
"""Rows of a table that are seen at once; more are shown when asked for."""

MOST_VERDICTS = 12
"""Splits whose verdicts are seen at once."""

MOST_ROWS = 200
"""Rows of a table on the page; longer ones are cut and say where the rest is."""

MOST_TESTS = 250
"""Rows of a stage of the ledger on the page."""

TABLES = {
    "accounts": marked("Rows of each input: read, kept, filtered out and rejected"),
    "alike": marked("Splits that do not matter"),
    "bundles": marked("Sets of items"),
    "at-risk": marked("Customers at risk: with a cycle still open and watched on that day"),
    "by-day": marked("Share back by day"),
    "candidates": marked("Candidates without a card"),
    "cluster-rules": marked("Rules that say a cluster"),
    "clusterings": marked("Ways of clustering"),
    "cohorts": marked("Customers by the period in which they began"),
    "crossover": marked("Next group of the customers of each first group"),
    "effects": marked("Share back and mean cycle of each group"),
    "habits": marked("Habits in which the groups differ"),
    "in-segments": marked("Rules within segments"),
    "ledger": marked("Tests of this stage"),
    "offers": marked("Offers as arrows"),
    "pairs": marked("Differences between pairs of groups"),
    "parts": marked("The effect in parts of the customers"),
    "repeating": marked("Splits that repeat another"),
    "rules": marked("What is bought with what"),
    "scores": marked("Scores of the test"),
    "segments": marked("Segments at a glance"),
    "speeds": marked("How soon the next is bought"),
    "splits": marked("Splits at a glance"),
}
"""What the rows of each kind of table are, for those who hear the page."""

TREE_CAPTION = marked(
    "Each box is a group of customers, and its bar the share of all customers that it holds. Boxes with a coloured edge are the segments; "
    "those in dashes were dropped, or wait for customers to become known."
)

HOW_TESTED = marked(
    "Each customer's cycles become a few scores that say whether the customer comes back sooner or later than others. "
    "The test of a split asks whether the scores of its groups differ by more than they would had the groups been dealt "
    "out at random among customers who began in the same period. So the number of a customer's purchases, and their "
    "likeness to each other, cannot pass for a difference between groups."
)
HOW_DECIDED = marked(
    "A split separates when its test holds after adjustment for all splits asked about, when both halves of the "
    "customers point the same way, and when the effect is large enough to act on. What was found in the data instead of "
    "declared is chosen in one half of the customers and has to hold in the other. A split does not matter when its effect "
    "was shown to be smaller than what counts."
)
HOW_ESTIMATED = marked(
    "Shares and cycles are of typical customers, by survival curves that take open cycles for what they are, within "
    "the period that was observed; nothing is extended beyond it. All groups are weighted to the same mix of beginnings."
)

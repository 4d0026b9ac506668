"""The statistics of purchase cycles: pure functions on counts by day and sums by group.

survival      numbers of gaps by day -> curves, mean cycles, scores and influence functions
linear        scores summed by group and cohort -> permutation moments
score_tests   these -> the p-value of the largest of several statistics
permutation   the same p-value by relabelling customers, for small groups
candidates    all splits of many columns, side by side
naive         the usual log-rank test, to be compared
effects       estimates by group -> intervals for all pairs
itemsets      what is on an occasion -> what is often bought together
association   occasions with and without two items -> lift, with the customer as the unit
multiplicity  several p-values -> adjusted ones
"""

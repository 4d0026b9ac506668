"""Clusters of customers who are alike, each said as a short rule: what a rule needs of a customer is a few features, never a cluster."""

from __future__ import annotations

from segmentor.clustering.finding import Found, FoundRule, Unsaid, find_clusters
from segmentor.clustering.methods import METHODS, Method

__all__ = ["METHODS", "Found", "FoundRule", "Method", "Unsaid", "find_clusters"]

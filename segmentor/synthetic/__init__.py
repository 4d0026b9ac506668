"""Shops with a known truth: parameters -> customers and occasions -> baskets and contacts -> tables, files and truth.

``world``      the published parameters
``histories``  when customers buy
``baskets``    what they buy
``contacts``   who is written to
``truth``      what a run should find
``shop``       tables and files
``renewal``    shops of a few figures and nothing else, drawn by the thousand
"""

from segmentor.synthetic.shop import FragranceShop, simulate_fragrance, write_fragrance
from segmentor.synthetic.truth import fragrance_truth
from segmentor.synthetic.world import Category, FragranceWorld, PlantedRule

__all__ = [
    "Category",
    "FragranceShop",
    "FragranceWorld",
    "PlantedRule",
    "fragrance_truth",
    "simulate_fragrance",
    "write_fragrance",
]

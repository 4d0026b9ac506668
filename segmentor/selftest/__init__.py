"""Calibration on this machine: shops whose truth is known go through the pipeline, and its error rates are counted.

``cells``     the worlds that are tried, what is counted in each, and what the counts should come to
``shops``     a simulated shop through the engine, as a run would take it
``measures``  what is counted in one shop
``counts``    counts over shops -> rates with their bands
``running``   cells on several processes, in an order that does not matter
``table``     the rates as JSON, for the terminal and for reading
"""

from segmentor.selftest.cells import Cell, catalogue, chosen_cells
from segmentor.selftest.running import calibrate
from segmentor.selftest.table import Size, Table, sections

__all__ = ["Cell", "Size", "Table", "calibrate", "catalogue", "chosen_cells", "sections"]

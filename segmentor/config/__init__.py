"""The config of an experiment: a YAML file comes in, one frozen and complete ``ExperimentConfig`` goes out.

``yaml_text`` reads strict YAML and remembers lines, ``values`` checks single values, ``sections`` is the model with its
defaults and descriptions, ``loading`` joins them and words the errors.
"""

from segmentor.config.loading import json_schema, load_config
from segmentor.config.sections import (
    Contacts,
    CrossSell,
    Customers,
    DeclaredSplit,
    ExperimentConfig,
    Products,
    Table,
    Transactions,
)
from segmentor.config.values import GroupCondition, Known

__all__ = [
    "Contacts",
    "CrossSell",
    "Customers",
    "DeclaredSplit",
    "ExperimentConfig",
    "GroupCondition",
    "Known",
    "Products",
    "Table",
    "Transactions",
    "json_schema",
    "load_config",
]

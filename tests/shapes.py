"""How the shapes in signatures are checked while the tests run."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""An int is accepted where a float is asked for, as in Python's own typing rules (PEP 484)."""

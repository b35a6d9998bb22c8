"""Small networks with one planted fault each, and correct ones with confusing shapes: what `verify` is judged by.

They are written from what `verify` promises, not from how it works. `faults.py` and `correct.py` collect them, and
`test_planted.py` runs them. Those of `held_out.py` are run by `pytest tests/planted/held_out.py` alone, after a
change of `verify` is finished.
"""

"""Small networks with one planted fault each, and correct ones with confusing shapes: what `verify` is judged by.

They are written from what `verify` promises, not from how it works. `faults.py` and `correct.py` collect them, and
`test_planted.py` runs them, and those of `held_out.py`, which judge a change of `verify` once it is finished: do not
look at them before. `make test-networks` runs all.
"""

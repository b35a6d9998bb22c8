"""Files that mean harm: each is read or refused in a line, in a process of its own, soon, and with little memory.

They are made by functions, which `corpus.py` collects; `sandbox.py` opens them, and `judging.py` says what is asked of
them. `test_hostile.py` runs a sample, and the slow tests all; `python -m tests.hostile` prints what each took. A third
is held out, and judges a change of `interop/_files/` once it is finished: do not run it before.
"""

"""Networks of packages, translated to Flax and judged by what torch computes: `make test-networks`.

The lists were committed before anything had been translated. They have random weights in every tensor. `*_held_out.py`
are for the end: nobody who writes the translation runs them or looks at what is in them.
"""

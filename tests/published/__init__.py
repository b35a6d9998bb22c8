"""Networks of MONAI with transposed layers, converted to twins that are written by hand: `make test-networks`.

They have MONAI's structure and names, and random weights in every tensor; what they compute is judged by MONAI.
"""

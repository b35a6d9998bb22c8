"""Which method computes which op on which platform: rules as tables, one file per platform."""

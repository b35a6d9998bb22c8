"""Checkpoint files: read by content, as views of the file and without running anything in it; written whole or not."""

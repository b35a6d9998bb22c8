"""What is translated is PyTorch's: without torch there is nothing to test."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

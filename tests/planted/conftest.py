"""Settings for networks as small as these."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """torch's threads cost more than they save here."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

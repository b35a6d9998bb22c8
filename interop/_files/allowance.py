"""What one read may take, of however many files: a file can ask for far more work and memory than it has bytes.

Files of 100 MB are read in 2 s and with 200 MB besides their tensors, and may ask for no more, which is several times
what checkpoints of that size do. Larger ones may ask for more, by their size, since reading their bytes takes longer.
"""

from .refusal import Refused

_ORDINARY = 100 * 10**6  # bytes
_MOST_TIMES = 8
# Half a microsecond each on a slow machine. A tensor of `torch.save` takes about 100.
_MOST_STEPS = 2_500_000
_FILE_STEPS = 1_200
MOST_TENSORS = 30_000
# What a pickle describes, and its own bytes. A tensor takes about 1.3 kB.
MOST_OBJECTS = 128 * 2**20
# A dict of other integers than 0, 1, 2 ... could have keys that all collide.
_MOST_INTEGER_KEYS = 5_000
# Equal strings are compared character by character, each time that one is a key.
LONG_KEY = 1_000
_MOST_LONG_KEYS = 2**28  # characters
# How much larger than its files a checkpoint's tensors may be: torch saves what is expanded or shared once.
_MOST_EXPANDED = 32
_ALWAYS_ALLOWED = 256 * 2**20
_MOST_COPIED = 128 * 2**20  # besides as much as the files have


class Allowance:
    """What is left of it."""

    def __init__(self) -> None:
        self.steps = 0
        self.objects = MOST_OBJECTS
        self.most_tensors = 0
        self._most_steps = 0
        self._tensors = 0
        self._integer_keys = _MOST_INTEGER_KEYS
        self._long_keys = _MOST_LONG_KEYS
        self._file_bytes = 0
        self._tensor_bytes = 0
        self._copied_bytes = 0

    def begin_file(self, nbytes: int) -> None:
        """Counts one more file. What its pickle describes is no longer in memory when the next one is read."""
        self._file_bytes += nbytes
        self.objects = MOST_OBJECTS
        self.most_tensors = self.scaled(MOST_TENSORS)
        used, self._most_steps = self._most_steps - self.steps, self.scaled(_MOST_STEPS)
        self.steps = self._most_steps - used
        self.take(_FILE_STEPS)

    def scaled(self, most: int) -> int:
        """What may be there of something, of which files of 100 MB may have `most`."""
        return int(most * min(max(self._file_bytes / _ORDINARY, 1), _MOST_TIMES))

    def take(self, steps: int, nbytes: int = 0) -> None:
        """Counts work, and memory that what is read takes."""
        self.steps -= steps
        self.objects -= nbytes
        if self.steps < 0:
            raise Refused("is not read: it has far more parts than a checkpoint of its size")
        if self.objects < 0:
            raise Refused(f"is not read: its pickle describes more than {MOST_OBJECTS >> 20} MiB besides its tensors")

    def count_tensors(self, count: int) -> None:
        """Counts the tensors that a file has."""
        self._tensors += count
        if self._tensors > self.most_tensors:
            raise Refused(f"is not read: it has more than {self.most_tensors:,} tensors, which none of its size has")

    def use_long_key(self, length: int) -> None:
        """Counts a use of a key longer than `LONG_KEY`."""
        self._long_keys -= length
        if self._long_keys < 0:
            raise Refused("is not read: it uses endless names again and again")

    def use_integer_key(self) -> bool:
        """Whether one more integer that is out of order may be a key; counts it."""
        self._integer_keys -= 1
        return self._integer_keys >= 0

    def expand(self, nbytes: int, copied: int) -> str:
        """Counts the tensors of the last file: their sizes, and what of them is copied. Says if that is too much."""
        self._tensor_bytes += nbytes
        self._copied_bytes += copied
        if self._tensor_bytes > _MOST_EXPANDED * self._file_bytes + _ALWAYS_ALLOWED:
            return f"its {self._file_bytes:,} bytes would expand to {self._tensor_bytes:,}"
        if self._copied_bytes > self._file_bytes + _MOST_COPIED:
            return f"its {self._file_bytes:,} bytes would take {self._copied_bytes:,} in memory"
        return ""

"""What one read may take, of however many files: a file can ask for far more work and memory than it has bytes."""

from .refusal import Refused

# A tensor takes about 40 operations and 1.3 kB of objects.
MOST_OPERATIONS = 4_000_000
MOST_OBJECTS = 160 * 2**20  # bytes
# Further files of the same checkpoint add to the operations by their size: a small file needs few.
_BYTES_PER_OPERATION = 512
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
        self.operations = MOST_OPERATIONS
        self.objects = MOST_OBJECTS
        self._integer_keys = _MOST_INTEGER_KEYS
        self._long_keys = _MOST_LONG_KEYS
        self._file_bytes = 0
        self._tensor_bytes = 0
        self._copied_bytes = 0

    def begin_file(self, nbytes: int) -> None:
        """Counts one more file. What its pickle describes is no longer in memory when the next one is read."""
        self.operations = min(self.operations + nbytes // _BYTES_PER_OPERATION, MOST_OPERATIONS)
        self.objects = MOST_OBJECTS
        self._file_bytes += nbytes

    def hold(self, nbytes: int) -> None:
        """Counts memory that what is read takes."""
        self.objects -= nbytes
        if self.objects < 0:
            raise Refused(f"is not read: its pickle describes more than {MOST_OBJECTS >> 20} MiB besides its tensors")

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

"""All hostile files. A third of them is held out, by their names, to judge a change once it is finished."""

import zlib
from itertools import chain

from tests.hostile import archives, dense, headers, indices, known, structures, texts

_ALL = dict(chain(*(module.files() for module in (dense, structures, texts, headers, indices, archives, known))))
HELD_OUT = {name: make for name, make in _ALL.items() if zlib.crc32(name.encode()) % 3 == 0}
FILES = {name: make for name, make in _ALL.items() if name not in HELD_OUT}

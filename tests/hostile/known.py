"""The hostile files of other tests, each by itself."""

from functools import cache, partial

from tests.hostile.making import Files, pickled
from tests.pickling import safetensors_file
from tests.test_interop_bombs import bombs, large_bombs
from tests.test_interop_bounds import slow_modules, slow_pickles
from tests.test_interop_hostile import SAFETENSORS
from tests.test_interop_printing import EVERYTHING, FILES, HOSTILE


def one_of(make_all, number):
    """The file of that number among those that a function makes."""
    return lambda folder: make_all(folder)[number]


@cache
def slow():
    """The pickles whose operations name something large; it takes seconds to make them."""
    return [value for _, value in slow_pickles()]


def files() -> Files:
    for number in range(51):
        yield f"bomb {number}", one_of(bombs, number)
    for number in range(7):
        yield f"large bomb {number}", one_of(large_bombs, number)
    for number in range(10):
        yield f"slow pickle {number}", pickled(lambda _, number=number: slow()[number])
    yield "slow module", pickled(lambda _: slow_modules())
    for case, options in SAFETENSORS.items():
        yield f"safetensors with {case}", lambda folder, options=options: safetensors_file(folder / "x", **options)
    for field, make in FILES.items():
        for text in (EVERYTHING, HOSTILE["lone surrogate"]):
            yield f"{field}: {'all kinds of' if text == EVERYTHING else 'broken'} text", partial(make, text=text)

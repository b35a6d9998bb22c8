"""Checkpoints of every kind, mutated, each of which must load or be refused: `python -m tests.fuzz FIRST COUNT FOLDER`.

What a mutation makes depends on its number alone. A number that kills the process, hangs or needs too much memory is
the last one printed before it ends.
"""

import collections
import io
import json
import random
import sys
import traceback
import zipfile
from pathlib import Path

import numpy as np

from tests import limits
from tests.operations import SIZES, mixed_in
from tests.pickling import call, dictionary, storage, tensor, write_legacy

MOST_EXPANDED = 257 * 2**20  # what `read` allows files as small as these to expand to

NESTED = ["nested", "nested_legacy"]
INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]


def write_seeds(folder):
    """One checkpoint of every kind, small, so that most mutations meet structure and not values."""
    import torch
    from safetensors.numpy import save_file

    generator = torch.Generator().manual_seed(0)
    tensors = {
        "conv.weight": torch.randn(4, 2, 3, 3, generator=generator),
        "transposed": torch.randn(3, 5, generator=generator).T,
        "part": torch.randn(8, generator=generator)[2:5],
        "expanded": torch.randn(1, generator=generator).expand(6, 2),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "fp8": torch.ones(3).to(torch.float8_e4m3fn),
        "mask": torch.tensor([True, False, True]),
        "complex": torch.randn(2, dtype=torch.complex64, generator=generator).conj(),
        "count": torch.tensor(7),
        "empty": torch.ones(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    tensors["tied"] = tensors["conv.weight"]
    nested = {"state_dict": tensors, "epoch": 3, "args": {"lr": [1e-3, None, "x"], "shape": torch.Size([2, 3])}}
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.ConvTranspose2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    torch.save(tensors, folder / "flat.pt")
    torch.save(nested, folder / "nested.ckpt", pickle_protocol=4)
    torch.save(network.state_dict(), folder / "ordered.pth")
    # By hand, since torch would name the storages by their addresses, which are others each time.
    storages = {"93": (6, bytes(range(24))), "94": (3, bytes(6)), "95": (1, bytes(8))}
    first, second, third = "torch.FloatStorage", "torch.BFloat16Storage", "torch.LongStorage"
    legacy = {
        "up.weight": tensor(storage(first, "93", 6, legacy=True), 0, (2, 3), (1, 2)),
        "up.bias": tensor(storage(second, "94", 3, legacy=True), 1, (2,), (1,)),
        "n": call("torch._utils._rebuild_parameter", tensor(storage(third, "95", 1, legacy=True), 0, (), ()), b"\x88"),
        "tied": tensor(storage(first, "93", 6, legacy=True), 2, (2,), (2,)),
    }
    write_legacy(folder / "legacy.pt", dictionary(legacy), storages)
    nested = {"state_dict": dictionary(legacy), "args": call("argparse.Namespace") + b"}b", "epochs": b"](NK\x01e"}
    write_legacy(folder / "nested_legacy.tar", dictionary(nested), storages)
    arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in network.state_dict().items()}
    save_file(arrays | {"b": np.ones(2, "complex64"), "empty": np.ones((0, 2))}, folder / "model.safetensors")
    shards = folder / "shards"
    shards.mkdir()
    names = sorted(arrays)
    save_file({name: arrays[name] for name in names[:4]}, shards / "model-1.safetensors")
    torch.save({name: torch.from_numpy(arrays[name]) for name in names[4:]}, shards / "model-2.bin")
    files = {name: "model-1.safetensors" if name in names[:4] else "model-2.bin" for name in names}
    index = {"metadata": {"total_size": 100}, "weight_map": files}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def mutate(content, others, rng):
    """`content` with one to four changes of the kinds that broken disks, cut downloads and attackers make."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 1, 2, 4])):
        at = rng.randrange(len(content) + 1)
        if rng.random() < 0.3:  # near a mark of structure
            marks = [b"PK", b"(", b"X", b"Q", b"t", b"\x8a", b'"', b"{", b"K", b"data", b"torch", b"storage", b"["]
            at = max(content.find(rng.choice(marks), at), 0)
        end = min(len(content), at + rng.choice([1, 2, 4, 8, 64, 512]))
        match rng.randrange(11):
            case 0 | 1 | 8 | 9 | 10:
                for place in range(at, min(end, at + 1)):
                    content[place] ^= 1 << rng.randrange(8)
            case 2:
                content[at:end] = rng.randbytes(end - at)
            case 3:
                size = rng.choice([1, 2, 4, 8])
                value = (rng.choice(INTERESTING) & (256**size - 1)).to_bytes(size, rng.choice(["little", "big"]))
                content[at : at + size] = value
            case 4:
                del content[at:end]
            case 5:
                content[at:at] = content[at:end] * rng.choice([1, 2, 50])
            case 6:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                content[at:end] = other[start : start + end - at]
            case 7:
                del content[at:]
    return bytes(content)


def mutate_within(content, others, rng):
    """`content` as `mutate` changes it, but often with the frame around its description made good again."""
    if rng.random() < 0.4:
        return mutate(content, others, rng)
    if content.startswith(b"PK"):
        result = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(result, "w") as target:
            for name in source.namelist():
                record = source.read(name)
                target.writestr(name, _mutate_description(record, others, rng) if name.endswith(".pkl") else record)
            if rng.random() < 0.05:  # an entry that says that it is larger than it is
                entry = target.getinfo(rng.choice(target.namelist()))
                entry.file_size = entry.compress_size = rng.choice(SIZES)
        return result.getvalue()
    length = int.from_bytes(content[:8], "little")
    if length < len(content):
        header = _mutate_description(content[8 : 8 + length], others, rng)
        return len(header).to_bytes(8, "little") + header + content[8 + length :]
    return _mutate_description(content, others, rng)


def _mutate_description(content, others, rng):
    """What describes tensors, as `mutate` changes it, or with hostile parts mixed in, or both."""
    kind = rng.random()
    content = mixed_in(content, rng) if kind < 0.6 else content
    return mutate(content, others, rng) if kind > 0.45 else content


def run(first, count, folder):
    """Reads `count` mutations; prints a JSON summary of what came of them."""
    from jax_tconv.interop import CheckpointError, read

    seeds = [path for path in sorted(folder.glob("**/*")) if path.is_file()]
    contents = [path.read_bytes() for path in seeds]
    limits.limit_memory()
    outcomes, failures = collections.Counter(), []
    for number in range(first, first + count):
        rng = random.Random(number)
        path = rng.choice(seeds)
        broken = path.with_name(f"{number}{path.suffix}")
        is_shard = path.parent.name == "shards"
        target = path if is_shard else broken
        original = path.read_bytes()
        target.write_bytes(mutate_within(original, contents, rng))
        entry = rng.choice(["state_dict", "state_dict", "args.lr", None]) if path.stem in NESTED else None
        opened = path.parent / "model.safetensors.index.json" if is_shard else broken
        print(number, file=sys.stderr, flush=True)
        limits.limit_time()
        try:
            tensors = read(opened, entry=entry)
            assert sum(tensor.nbytes for tensor in tensors.values()) <= MOST_EXPANDED
            for tensor in tensors.values():
                np.asarray(tensor, order="C").tobytes()
            outcomes[f"{path.name}: loaded"] += 1
        except CheckpointError as error:
            message = str(error)
            if not message.startswith(str(path.parent)) or not message.isprintable() or len(message) > 1500:
                failures.append(f"{number}: not a good message: {message[:2000]}")
            outcomes[f"{path.name}: refused"] += 1
        except BaseException:
            failures.append(f"{number}: {traceback.format_exc()}")
        if is_shard:
            path.write_bytes(original)
        else:
            broken.unlink()
    print(json.dumps({"outcomes": outcomes, "failures": failures}))


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

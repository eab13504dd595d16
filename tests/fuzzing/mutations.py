"""Seeded mutations of good files: of their bytes, of what they hold, and of what they are."""

import copy
import csv
import io
import json
import os
import struct
import zipfile

ODD_VALUES = [
    None, True, False, 0, -1, 1, 2.5, -0.0, 1e308, 1e-320, 2**31, 2**63, 2**64, 10**9, 10**18, 10**30, 10**400, -(10**400),
    float("nan"), float("inf"), "", " ", "a", "v_a", "../a", "a/b", "a\\b", "..", "\x00", "\ud800", "é", "x" * 5000, "1.0", "nan",
    [], {}, [[]], [1, 2], [0.0, 1e9], ["a", "b"], {"a": 1}, [None], {"": None}, [{}], [1e308, 1e308], list(range(50)),
]  # fmt: skip


def mutate_bytes(data, rng):
    """Flipped bits, a cut, a run of zeros, a piece doubled, moved, put in or left out."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        size = len(data)
        if size == 0:
            return bytes(rng.bytes(5))
        at, length = int(rng.integers(size)), int(rng.integers(1, 40))
        choice = int(rng.integers(8))
        if choice <= 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif choice == 2:
            del data[at:]
        elif choice == 3:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif choice == 4:
            data[at:at] = data[at : at + length]
        elif choice == 5:
            del data[at : at + length]
        elif choice == 6:
            data[at:at] = rng.bytes(length)
        else:
            data[at] = int(rng.choice([0, 10, 34, 44, 45, 47, 48, 57, 91, 93, 123, 125, 127, 255]))
    return bytes(data)


def mutate_value(content, rng):
    """A copy of JSON values with one or two nodes replaced, left out, renamed, doubled or swapped."""
    content = copy.deepcopy(content)
    for _ in range(int(rng.integers(1, 3))):
        parents = []
        stack = [content]
        while stack:
            node = stack.pop()
            if isinstance(node, (dict, list)) and node:
                parents.append(node)
                stack += node.values() if isinstance(node, dict) else node
        if not parents:
            return odd_value(rng)
        parent = parents[int(rng.integers(len(parents)))]
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = keys[int(rng.integers(len(keys)))]
        choice = int(rng.integers(6))
        if choice <= 2:
            parent[key] = odd_value(rng)
        elif choice == 3:
            del parent[key]
        elif choice == 4:
            parent[key] = copy.deepcopy(parent[keys[int(rng.integers(len(keys)))]])
        elif isinstance(parent, dict):
            name = odd_value(rng)
            parent[name if isinstance(name, str) else str(name)[:50]] = parent.pop(key)
        else:
            parent.append(odd_value(rng))
    return content


def odd_value(rng):
    return copy.deepcopy(ODD_VALUES[int(rng.integers(len(ODD_VALUES)))])


def dumped(content):
    """JSON of any values, huge numbers and half surrogates too."""
    return json.dumps(content).encode()


def mutate_json(data, rng):
    choice = int(rng.integers(12))
    if choice <= 6:
        return dumped(mutate_value(json.loads(data), rng))
    if choice == 7:  # nesting, of lists or objects
        depth = int(rng.choice([40, 60, 1000, 100_000]))
        return b"[" * depth + b"]" * depth if rng.random() < 0.5 else b'{"database":' * depth + b"1" + b"}" * depth
    if choice == 8:  # a key twice
        text = data.decode()
        at = text.find('"', int(rng.integers(len(text))))
        key = text[at : text.find('"', at + 1) + 1] or '"a"'
        return text.replace("{", f"{{{key}: 1, {key}: 2, ", 1).encode()
    if choice == 9:  # another encoding
        encoding = str(rng.choice(["utf-16", "utf-32", "latin-1", "utf-8-sig"]))
        return (data.decode().replace("run", "rün")).encode(encoding, "ignore")
    return mutate_bytes(data, rng)


def mutate_text(data, rng):
    """Of files of words and numbers."""
    if rng.random() < 0.5:
        return mutate_bytes(data, rng)
    words = data.decode().split(" ")
    words[int(rng.integers(len(words)))] = str(odd_value(rng))
    return " ".join(words).encode("utf-8", "surrogatepass")


def mutate_csv(data, rng):
    """A cell, a row or a column of a table; without digests."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    for _ in range(int(rng.integers(1, 3))):
        row = rows[int(rng.integers(len(rows)))]
        choice = int(rng.integers(6))
        if choice <= 2:
            row[int(rng.integers(len(row)))] = str(odd_value(rng)).replace("\n", " ")
        elif choice == 3:
            rows.remove(row)
        elif choice == 4:
            del row[int(rng.integers(len(row)))]
        else:
            column = int(rng.integers(len(row)))
            for other in rows:
                del other[column : column + 1]
        if not rows or not all(rows):
            return b""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def npy(header, body, version=(1, 0)):
    text = header if isinstance(header, bytes) else (repr(header) + "\n").encode()
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) & (0xFFFF if version == (1, 0) else 0xFFFFFFFF))
    return b"\x93NUMPY" + bytes(version) + size + text + body


def mutate_npz(data, rng):
    """Types, shapes, headers, names, ways to pack; or the bytes of the archive."""
    choice = int(rng.integers(14))
    if choice <= 3:
        return mutate_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = list(members)[int(rng.integers(len(members)))]
    method, flags, mode = zipfile.ZIP_DEFLATED, 0, 0
    body = members[name][128:]
    if choice == 4:
        dtype = str(rng.choice(["<f8", ">f2", "<i4", "|O", "<c8", "|S3", "<U2", "|V8", "<M8[s]", "|b1", "<f16", "nonsense", "|u1", "<f4"]))
        members[name] = npy({"descr": dtype, "fortran_order": bool(rng.integers(2)), "shape": (20, 4)}, body)
    elif choice == 5:
        shapes = [(10**12, 4), (20, 10**9), (20, 10**5), (-1, 4), (20,), (), (20, 4, 1), (0, 4), (20, 0), (2**63, 2), (10**400, 4), ("a",)]
        members[name] = npy({"descr": "<f2", "fortran_order": False, "shape": shapes[int(rng.integers(len(shapes)))]}, body)
    elif choice == 6:
        headers = [b"", b"{", b"(" * 5000, b"{'descr': '<f2'}", b"[" * 9000, b"\xff" * 100, b"1" * 9000, b" " * 60_000, b"{}" * 10]
        version = [(1, 0), (2, 0), (3, 0), (9, 9)][int(rng.integers(4))]
        members[name] = npy(headers[int(rng.integers(len(headers)))], body, version)
    elif choice == 7:  # a bomb: zeros that fit the header
        rows, dim = [(20, 100_000), (20, 1_000_000), (10**6, 4)][int(rng.integers(3))]
        members[name] = npy({"descr": "<f2", "fortran_order": False, "shape": (rows, dim)}, bytes(rows * dim * 2))
    elif choice == 8:
        flags = 0x1
    elif choice == 9:
        method = int(rng.choice([1, 6, 9, 12, 14, 93, 98, 255]))
    elif choice == 10:
        other = str(rng.choice(["../t1.npy", "/etc/t1.npy", "a\\b.npy", "t1/", "", "t1.txt", "..", "t1.npy.npy", "é.npy", "\x01.npy"]))
        members[other] = members.pop(name) if rng.random() < 0.5 else members[name]
    elif choice == 11:
        mode = 0o120777
    elif choice == 12:
        members[name] = mutate_bytes(members[name], rng)
    else:
        del members[name]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            info = zipfile.ZipInfo(member or "x")
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    out = bytearray(packed.getvalue())
    if flags or method != zipfile.ZIP_DEFLATED:  # zipfile would not write these: in every header of the archive
        for signature, flag_at, method_at in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
            at = out.find(signature)
            while at >= 0:
                struct.pack_into("<H", out, at + flag_at, flags)
                struct.pack_into("<H", out, at + method_at, method)
                at = out.find(signature, at + 4)
    return bytes(out)


def mutate_safetensors(data, rng, resign):
    """Its header, its tensors or its bytes; ``resign`` gives what is still readable the digest of its new content."""
    choice = int(rng.integers(8))
    if choice <= 1:
        return mutate_bytes(data, rng)
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    if choice == 2:
        return int(rng.choice([0, 1, size - 1, size + 1, 2**31, 2**40])).to_bytes(8, "little") + data[8:]
    if choice <= 4:  # what is stated beside the tensors
        key = next(k for k in header["__metadata__"] if k in ("about", "stage", "format"))
        if key != "format":
            header["__metadata__"][key] = json.dumps(mutate_value(json.loads(header["__metadata__"][key]), rng))
        if rng.random() < 0.1:
            header["__metadata__"][key] = str(rng.choice(["", "{", "[" * 5000, "null", "1e999"]))
    elif choice == 5:
        name = [n for n in header if n != "__metadata__"][int(rng.integers(len(header) - 1))]
        header[name]["dtype"] = str(rng.choice(["F16", "I32", "F64", "BOOL", "F8_E4M3", "U32", "BF16", "nonsense"]))
    elif choice == 6:
        names = [n for n in header if n != "__metadata__"]
        name, other = names[int(rng.integers(len(names)))], names[int(rng.integers(len(names)))]
        header[name], header[other] = header[other], header[name]
        if rng.random() < 0.5:
            header[name]["shape"] = [[10**12], [-1], [2**32, 2**32], [1.5], "a", [], header[name]["shape"][::-1]][int(rng.integers(7))]
    else:
        header = mutate_value(header, rng)
    text = dumped(header)
    return resign(len(text).to_bytes(8, "little") + text + body)


def become_another_kind(path, rng):
    """In the place of a file, something that is none."""
    path.unlink(missing_ok=True)
    choice = int(rng.integers(5))
    if choice == 0:
        os.mkfifo(path)
    elif choice == 1:
        path.mkdir()
    elif choice == 2:
        path.symlink_to("/etc/passwd")
    elif choice == 3:
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/zero")

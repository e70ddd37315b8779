"""Reads a safetensors file with Python's standard library only and prints it as JSON, to check what our writer writes.

It shares nothing with the code under test and fails on anything that the format forbids.
"""

import json
import struct
import sys

FORMATS = {
    "BOOL": "?", "U8": "B", "I8": "b", "I16": "h", "U16": "H", "F16": "e",
    "I32": "i", "U32": "I", "F32": "f", "F64": "d", "I64": "q", "U64": "Q",
}


def read(path):
    with open(path, "rb") as file:
        content = file.read()
    (header_length,) = struct.unpack_from("<Q", content)
    data_start = 8 + header_length
    assert data_start % 8 == 0, "the data do not begin at a multiple of 8"
    text = content[8:data_start].decode("utf-8")
    assert text.startswith("{"), "the header does not start with {"
    assert text.rstrip(" ").endswith("}"), "the header is padded with something other than spaces"
    header = json.loads(text, object_pairs_hook=without_duplicates)
    metadata = header.pop("__metadata__", {})
    tensors = {}
    covered = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == covered, f"{name} does not begin where the tensor before it ends"
        covered = end
        values = decode(entry["dtype"], content[data_start + begin : data_start + end], begin)
        count = 1
        for size in entry["shape"]:
            count *= size
        assert len(values) == count, f"{name} has {len(values)} elements for shape {entry['shape']}"
        tensors[name] = {"dtype": entry["dtype"], "shape": entry["shape"], "values": values}
    assert data_start + covered == len(content), "bytes at the end belong to no tensor"
    return {"metadata": metadata, "tensors": tensors}


def decode(dtype, data, begin):
    if dtype.startswith("F8"):
        return list(data)
    if dtype == "BF16":
        # A bfloat16 is the upper half of a float32.
        widened = b"".join(b"\0\0" + data[start : start + 2] for start in range(0, len(data), 2))
        return [value for (value,) in struct.iter_unpack("<f", widened)]
    element = struct.Struct("<" + FORMATS[dtype])
    assert begin % element.size == 0, f"a tensor of {dtype} begins at {begin}"
    # As text where JSON's numbers are not exact in JavaScript.
    return [str(value) if dtype in ("I64", "U64") else value for (value,) in element.iter_unpack(data)]


def without_duplicates(pairs):
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"a name comes twice in {names}"
    return dict(pairs)


print(json.dumps(read(sys.argv[1])))

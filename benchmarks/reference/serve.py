#!/usr/bin/env python3
"""The PyTorch side of the benchmark: does the work that its argument names, as the caller asks for it.

`serve.py '{"kind": "step", ...}'` prints what it is in one line of JSON, then answers lines on standard input, so that it
can run in turn with another program: `run N`, `memory`, `load FILE`, `quit`; every answer is one line of JSON.
Runs on PyTorch 1.13 (Debian's python3-torch) and newer.
"""

import json
import re
import resource
import struct
import sys
import time

import torch
from torch import nn

from labels import DmlStep, IndependentStep
from lmcl import LmclStep
from mcl import MclStep
from moco import MocoMclStep
from others import Evaluation, Losses, Prediction, SingleImage


def create(spec):
    """The work that a spec describes."""
    kind, classes, is_bfloat16 = spec["kind"], spec["classes"], spec["precision"] == "bfloat16"
    if kind == "step" and spec.get("usesTorchdistill"):
        # Imported where it is needed: few Pythons have it.
        from torchdistill_steps import TorchdistillStep

        return TorchdistillStep(spec["models"], classes, spec["batch"], is_bfloat16)
    plain = {"mcl": MclStep, "independent": IndependentStep, "dml": DmlStep}
    if kind == "step" and spec["method"] in plain:
        create_step = plain[spec["method"]]
        return create_step(spec["models"], classes, spec["batch"], is_bfloat16, spec.get("imageSize", 32))
    if kind == "step" and spec["method"] == "moco-mcl":
        return MocoMclStep(spec["models"], classes, spec["batch"], is_bfloat16)
    if kind == "step":
        return LmclStep(spec["models"], classes, spec["batch"], is_bfloat16, spec["metaStep"])
    if kind == "losses":
        return Losses(spec["networks"], spec["stages"], classes, spec["batch"])
    if kind == "evaluation":
        return Evaluation(spec["model"], classes, spec["images"], spec["batch"], is_bfloat16)
    if kind == "single-image":
        return SingleImage(spec["model"], classes)
    if kind == "prediction":
        return Prediction(spec["model"], classes, spec["paths"], spec["batch"])
    raise ValueError(f"expected kind step, losses, evaluation, single-image or prediction, got {kind!r}")


def multiply_adds(work):
    """Multiply-adds of convolutions and linear layers in one forward pass of the work."""
    total = 0

    def count(layer, _, output):
        nonlocal total
        total += output.numel() // layer.weight.shape[0] * layer.weight.numel()

    root = work.state()
    before = {name: value.clone() for name, value in root.state_dict().items()}
    layers = [module for module in root.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        work.forward_only()
    for hook in hooks:
        hook.remove()
    # Running statistics of batch normalisation have moved.
    root.load_state_dict(before)
    return total


def compile_networks(work, is_trained):
    """Compiles every network in its place, so that its state dict stays what it is; the first run then takes a minute."""
    if not is_trained:
        # Weights become constants, which lets the compiler fold batch normalisation.
        import torch._inductor.config

        torch._inductor.config.freezing = True
    for network in work.networks():
        network.compile()
    for branch in getattr(work, "branches", list)():
        branch.compile()


def cpu_capability():
    """Which vector instructions PyTorch's own kernels use: AVX2, AVX512, DEFAULT, ..."""
    found = re.search(r"CPU capability usage: (\S+)", torch.__config__.show())
    return found.group(1) if found else "unknown"


def peak_resident_bytes():
    """Peak of this program alone; ru_maxrss, the fallback, also counts what its parent held when it was started."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def read_safetensors(path):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    dtypes = {"F32": torch.float32, "I64": torch.int64, "U8": torch.uint8}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            flat = torch.frombuffer(data[begin:end], dtype=dtypes[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


def load(work, path):
    """Takes over weights and data that the other side wrote."""
    tensors = read_safetensors(path)
    work.use(tensors.pop("images"), tensors.pop("labels"))
    work.state().load_state_dict(tensors)


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    spec = json.loads(sys.argv[1])
    torch.set_num_threads(spec["threads"])
    torch.manual_seed(0)
    if spec.get("device", "cpu") != "cpu":
        # Not yet run on a GPU. Every step ends by reading its values back, which waits for the device.
        torch.set_default_device(spec["device"])
    try:
        work = create(spec)
    except ImportError as error:
        answer({"error": f"{error}. Install it for this Python (Debian: apt-get install python3-pil python3-numpy; torchdistill: pip install torchdistill)."})
        return
    about = {"version": torch.__version__, "threads": torch.get_num_threads(), "capability": cpu_capability()}
    if hasattr(work, "networks"):
        about["parameters"] = sum(p.numel() for network in work.networks() for p in network.parameters())
        about["multiplyAdds"] = multiply_adds(work)
    if spec.get("compiles"):
        compile_networks(work, is_trained=spec["kind"] == "step")
    answer(about)
    for line in sys.stdin:
        command, *arguments = line.split() or [""]
        if command == "run":
            durations, values = [], {}
            for _ in range(int(arguments[0])):
                begin = time.perf_counter()
                values = work.step()
                durations.append((time.perf_counter() - begin) * 1000)
            answer({"ms": durations, "values": values})
        elif command == "memory":
            answer({"peakResidentBytes": peak_resident_bytes()})
        elif command == "load":
            load(work, line.strip()[len("load ") :])
            answer({})
        elif command == "quit":
            return
        elif command:
            answer({"error": f"expected 'run N', 'memory', 'load FILE' or 'quit', got '{line.strip()}'"})


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""One MCL training step in plain PyTorch, as a PyTorch user would write it: what `npm run bench` compares with.

Two CIFAR ResNet-32 and their embedding heads learn from random images. The caller drives it by lines on standard
input, so that it can alternate with another program: `step N` runs N steps, `memory` reports the peak, `quit` ends.
Every answer is one line of JSON. With `--golden FILE` it checks its losses and gradients against that file instead.

Runs on PyTorch 1.13 (Debian's python3-torch) and newer. Losses: Mutual Contrastive Learning, arXiv 2104.12565.
"""

import argparse
import json
import os
import re
import resource
import struct
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 100
EMBEDDING_SIZE = 128
WEIGHTS = {"vcl": 0.1, "soft_vcl": 1.0, "icl": 0.1, "soft_icl": 1.0}
TEMPERATURE = 0.1  # tau, of the similarities
DISTILLATION_TEMPERATURE = 3.0  # T, of the soft terms


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class ResNet32(nn.Module):
    """CIFAR ResNet of three stages of five blocks; returns logits and the pooled feature vector."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self.stage(16, 16, 1)
        self.layer2 = self.stage(16, 32, 2)
        self.layer3 = self.stage(32, 64, 2)
        self.classifier = nn.Linear(64, classes)

    @staticmethod
    def stage(in_channels, channels, stride):
        first = BasicBlock(in_channels, channels, stride)
        return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(4)))

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        features = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.classifier(features), features


class EmbeddingHead(nn.Module):
    """Linear, ReLU, linear, L2 normalise; used in training only."""

    def __init__(self, in_features, hidden, out_features):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden)
        self.fc2 = nn.Linear(hidden, out_features)

    def forward(self, features):
        return F.normalize(self.fc2(F.relu(self.fc1(features))), dim=1)


def contrast(similarities, positives, own):
    """Contrastive loss of `[B, B]` similarities; anchors without a positive are left out of the mean."""
    log_probabilities = F.log_softmax(similarities.masked_fill(own, float("-inf")), dim=1)
    # The own column is minus infinity, and minus infinity times zero is not a number.
    log_probabilities = log_probabilities.masked_fill(own, 0)
    counts = positives.sum(1)
    per_anchor = (log_probabilities * positives).sum(1) / counts.clamp(min=1)
    anchors = (counts > 0).sum()
    return -per_anchor.sum() / anchors.clamp(min=1)


def distil(student, teacher):
    """KL(teacher || student) of the softened similarity rows; the teacher is a constant."""
    t = DISTILLATION_TEMPERATURE
    log_student = F.log_softmax(student / t, dim=1)
    probabilities = F.softmax(teacher.detach() / t, dim=1)
    return F.kl_div(log_student, probabilities, reduction="batchmean") * t * t


def mcl_losses(embeddings, labels):
    """The four MCL terms of embeddings `[B, D]`, one per network; networks contrast within and between each other."""
    own = torch.eye(len(labels), dtype=torch.bool)
    positives = ((labels[:, None] == labels[None, :]) & ~own).float()
    vcl = soft_vcl = icl = soft_icl = 0.0
    similarities = [[a @ b.t() / TEMPERATURE for b in embeddings] for a in embeddings]
    for i in range(len(embeddings)):
        vcl = vcl + contrast(similarities[i][i], positives, own)
        for j in range(len(embeddings)):
            if i == j:
                continue
            icl = icl + contrast(similarities[i][j], positives, own)
            soft_vcl = soft_vcl + distil(similarities[i][i], similarities[j][j])
            soft_icl = soft_icl + distil(similarities[i][j], similarities[j][i])
    return {"vcl": vcl, "soft_vcl": soft_vcl, "icl": icl, "soft_icl": soft_icl}


def weighted(losses):
    return sum(WEIGHTS[name] * loss for name, loss in losses.items())


def usable_cpus():
    # Without MKL, PyTorch on x86 takes half of the CPUs for twins of the others, which on a virtual machine they
    # are not; a fair comparison gives both sides all of them.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


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


def make_step(batch):
    """Returns a function that does one training step and returns its loss."""
    torch.manual_seed(0)
    images = torch.randn(batch, 3, 32, 32)
    labels = torch.randint(CLASSES, (batch,))
    networks = nn.ModuleList(ResNet32(CLASSES) for _ in range(2))
    heads = nn.ModuleList(EmbeddingHead(64, EMBEDDING_SIZE, EMBEDDING_SIZE) for _ in range(2))
    optimizer = torch.optim.SGD(
        [*networks.parameters(), *heads.parameters()], lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )

    def step():
        optimizer.zero_grad()
        outputs = [network(images) for network in networks]
        embeddings = [head(features) for head, (_, features) in zip(heads, outputs)]
        classification = sum(F.cross_entropy(logits, labels) for logits, _ in outputs)
        loss = classification + weighted(mcl_losses(embeddings, labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def serve(step):
    """Answers the commands on standard input until it ends."""
    for line in sys.stdin:
        command, *arguments = line.split() or [""]
        if command == "step":
            durations = []
            for _ in range(int(arguments[0])):
                begin = time.perf_counter()
                loss = step()
                durations.append((time.perf_counter() - begin) * 1000)
            print(json.dumps({"ms": durations, "loss": loss}), flush=True)
        elif command == "memory":
            print(json.dumps({"peakResidentBytes": peak_resident_bytes()}), flush=True)
        elif command == "quit":
            return
        elif command:
            print(json.dumps({"error": f"expected 'step N', 'memory' or 'quit', got '{line.strip()}'"}), flush=True)


def read_safetensors(path):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    dtypes = {"F32": torch.float32, "I64": torch.int64}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            flat = torch.frombuffer(data[begin:end], dtype=dtypes[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def check_golden(path):
    """Compares losses, embeddings and gradients with the file; returns whether all agree."""
    golden = read_safetensors(path)
    count = sum(name.startswith("features.") for name in golden)
    features, heads = [], []
    for i in range(count):
        features.append(golden[f"features.{i}"].clone().requires_grad_())
        hidden, size = golden[f"head.{i}.fc1.weight"].shape
        heads.append(EmbeddingHead(size, hidden, golden[f"head.{i}.fc2.weight"].shape[0]))
        heads[i].load_state_dict(
            {name: golden[f"head.{i}.{name}"] for name in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")}
        )
    embeddings = [head(feature) for head, feature in zip(heads, features)]
    losses = mcl_losses(embeddings, golden["labels"])
    losses["total"] = weighted(losses)
    losses["total"].backward()

    actual = {f"loss.{name}": loss for name, loss in losses.items()}
    for i in range(count):
        actual[f"embedding.{i}"] = embeddings[i]
        actual[f"grad.features.{i}"] = features[i].grad
        for name, parameter in heads[i].named_parameters():
            actual[f"grad.head.{i}.{name}"] = parameter.grad
    agree = True
    for name, expected in golden.items():
        if name.startswith(("loss.", "embedding.", "grad.")):
            difference = (actual[name] - expected).abs().max().item()
            good = torch.allclose(actual[name], expected, rtol=1e-4, atol=1e-5)
            agree = agree and good
            print(f"{'agrees ' if good else 'DIFFERS'} {name}: largest difference {difference:.2e}")
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="default: every CPU")
    parser.add_argument("--golden", metavar="FILE", help="compare with golden values, then end (1 if they differ)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.golden is not None:
        sys.exit(0 if check_golden(options.golden) else 1)
    step = make_step(options.batch)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "capability": cpu_capability()}
    print(json.dumps(about), flush=True)
    serve(step)


if __name__ == "__main__":
    main()

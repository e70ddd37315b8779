#!/usr/bin/env python3
"""torchvision's side of `benchmarks/detectors.mjs`: training steps of its own segmenters and detectors, as the caller asks for them.

`detectors.py NAME BATCH HEIGHT WIDTH` answers every line `run N` on standard input with the user's processor time of N steps in one
line of JSON; `quit` ends it. One thread. Runs on torchvision 0.14 (Debian's python3-torchvision) and newer.
"""

import json
import resource
import sys

import torch
from torchvision.models import resnet18
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.segmentation import fcn_resnet50
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

CLASSES = 3
OBJECTS = 4


def build(name, height, width):
    """The model as published, on ResNet-18 for detectors; images are not resized."""
    sizes = {"min_size": min(height, width), "max_size": max(height, width)}
    if name == "fcn":
        return fcn_resnet50(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=False)
    if name in ("fcos", "retinanet"):
        backbone = _resnet_fpn_extractor(
            resnet18(weights=None), 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256)
        )
        kind = FCOS if name == "fcos" else RetinaNet
        return kind(backbone, CLASSES, **sizes)
    backbone = _resnet_fpn_extractor(resnet18(weights=None), 5)
    anchors = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
    kind = FasterRCNN if name == "faster-rcnn" else MaskRCNN
    candidates = {"rpn_pre_nms_top_n_train": 1000, "rpn_post_nms_top_n_train": 300}
    return kind(backbone, CLASSES + 1, rpn_anchor_generator=anchors, **candidates, **sizes)


def targets(name, batch, height, width):
    """Objects side by side, each with its box as its mask."""
    boxes = [[8 + 32 * i, 10 + 4 * i, 8 + 32 * i + 28, 10 + 4 * i + 40] for i in range(OBJECTS)]
    masks = torch.zeros(OBJECTS, height, width, dtype=torch.uint8)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes):
        mask[y0:y1, x0:x1] = 1
    first = 1 if name.endswith("rcnn") else 0
    labels = torch.tensor([first + i % CLASSES for i in range(OBJECTS)])
    one = {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": labels, "masks": masks}
    return [dict(one) for _ in range(batch)]


def main():
    name, batch, height, width = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = build(name, height, width).train()
    images = torch.rand(batch, 3, height, width)
    wanted = targets(name, batch, height, width)
    labels = torch.randint(0, CLASSES, (batch, height, width))

    def step():
        if name == "fcn":
            loss = torch.nn.functional.cross_entropy(model(images)["out"], labels)
        else:
            loss = sum(model(list(images), wanted).values())
        model.zero_grad(set_to_none=True)
        loss.backward()

    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters())}), flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            return
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        for _ in range(int(words[1])):
            step()
        print(json.dumps({"seconds": resource.getrusage(resource.RUSAGE_SELF).ru_utime - before}), flush=True)


main()

"""Training steps without contrast in plain PyTorch: networks that learn from labels alone, and deep mutual learning."""

import torch
import torch.nn.functional as F
from torch import nn

from mcl import MclStep
from networks import ARCHITECTURES


class Networks(nn.Module):
    def __init__(self, models, classes):
        super().__init__()
        self.network = nn.ModuleList(ARCHITECTURES[model](classes) for model in models)


class IndependentStep(MclStep):
    """Every network learns from the labels."""

    def make_cohort(self, models, classes):
        return Networks(models, classes)

    def logits(self):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.is_bfloat16):
            outputs = [network(self.images) for network in self.cohort.network]
        return [logits.float() for logits, _, _ in outputs]

    def losses(self):
        return {"classification": sum(F.cross_entropy(logits, self.labels) for logits in self.logits())}

    def total(self, losses):
        return sum(losses.values())


class DmlStep(IndependentStep):
    """Every network also learns from what the others predict, without softening (arXiv 1706.00384, equation 7)."""

    def losses(self):
        logits = self.logits()
        distillation = 0.0
        for i, own in enumerate(logits):
            for j, other in enumerate(logits):
                if i != j:
                    target = F.softmax(other.detach(), dim=1)
                    divergence = F.kl_div(F.log_softmax(own, dim=1), target, reduction="batchmean")
                    distillation = distillation + divergence / (len(logits) - 1)
        return {
            "classification": sum(F.cross_entropy(each, self.labels) for each in logits),
            "distillation": distillation,
        }

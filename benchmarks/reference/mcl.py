"""A training step of Mutual Contrastive Learning (arXiv 2104.12565) in plain PyTorch, looping over pairs of networks."""

import torch
import torch.nn.functional as F
from torch import nn

from networks import ARCHITECTURES

EMBEDDING_SIZE = 128
WEIGHTS = {"vcl": 0.1, "icl": 0.1, "softVcl": 1.0, "softIcl": 1.0}
TEMPERATURE = 0.1  # tau, of the similarities
DISTILLATION_TEMPERATURE = 3.0  # T, of the soft terms
SGD = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}


class EmbeddingHead(nn.Module):
    """Linear, ReLU, linear, L2 normalise; used in training only."""

    def __init__(self, in_features):
        super().__init__()
        self.fc1 = nn.Linear(in_features, EMBEDDING_SIZE)
        self.fc2 = nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)

    def forward(self, features):
        return F.normalize(self.fc2(F.relu(self.fc1(features))), dim=1)


class EmbeddingHeads(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.heads = nn.ModuleList(EmbeddingHead(width) for width in widths)

    def forward(self, features):
        return [head(feature) for head, feature in zip(self.heads, features)]


def find_positives(labels):
    """`[B, B]`: the anchor's own place, and which samples share its label."""
    own = torch.eye(len(labels), dtype=torch.bool)
    return own, ((labels[:, None] == labels[None, :]) & ~own).float()


def contrast_per_anchor(similarities, positives, own):
    """Contrastive loss `[B]` of every anchor, divided by how many have a positive; the others give zero."""
    log_probabilities = F.log_softmax(similarities.masked_fill(own, float("-inf")), dim=1)
    # The own column is minus infinity, and minus infinity times zero is not a number.
    log_probabilities = log_probabilities.masked_fill(own, 0)
    counts = positives.sum(1)
    per_anchor = (log_probabilities * positives).sum(1) / counts.clamp(min=1)
    return -per_anchor / (counts > 0).sum().clamp(min=1)


def contrast(similarities, positives, own):
    return contrast_per_anchor(similarities, positives, own).sum()


def distil(student, teacher):
    """KL(teacher || student) of the softened rows; the teacher is a constant."""
    t = DISTILLATION_TEMPERATURE
    log_student = F.log_softmax(student / t, dim=1)
    probabilities = F.softmax(teacher.detach() / t, dim=1)
    return F.kl_div(log_student, probabilities, reduction="batchmean") * t * t


def mcl_losses(embeddings, labels):
    """The four MCL terms of embeddings `[B, D]`, one per network; networks contrast within and between each other."""
    own, positives = find_positives(labels)
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
    return {"vcl": vcl, "icl": icl, "softVcl": soft_vcl, "softIcl": soft_icl}


def weighted(losses):
    return sum(WEIGHTS[name] * loss for name, loss in losses.items() if name in WEIGHTS)


class MclCohort(nn.Module):
    """Networks with their embedding heads."""

    def __init__(self, models, classes):
        super().__init__()
        self.network = nn.ModuleList(ARCHITECTURES[model](classes) for model in models)
        self.heads = EmbeddingHeads([network.width for network in self.network])


class MclStep:
    """Does one training step at a time on one batch."""

    def __init__(self, models, classes, batch, is_bfloat16, size=32):
        self.is_bfloat16 = is_bfloat16
        self.images = torch.randn(batch, 3, size, size)
        self.labels = torch.randint(classes, (batch,))
        self.cohort = self.make_cohort(models, classes)
        if is_bfloat16:
            self.cohort = self.cohort.to(memory_format=torch.channels_last)
            self.images = self.images.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.trained(), **SGD)

    def make_cohort(self, models, classes):
        return MclCohort(models, classes)

    def trained(self):
        return list(self.cohort.parameters())

    def networks(self):
        return self.cohort.network

    def losses(self):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.is_bfloat16):
            outputs = [network(self.images) for network in self.cohort.network]
        # Losses need full precision.
        embeddings = self.cohort.heads([features.float() for _, features, _ in outputs])
        classification = sum(F.cross_entropy(logits.float(), self.labels) for logits, _, _ in outputs)
        return {"classification": classification, **mcl_losses(embeddings, self.labels)}

    def total(self, losses):
        return losses["classification"] + weighted(losses)

    def step(self):
        self.optimizer.zero_grad()
        losses = self.losses()
        total = self.total(losses)
        total.backward()
        self.optimizer.step()
        return {**{name: float(loss) for name, loss in losses.items()}, "total": total.item()}

    def forward_only(self):
        """What one step's forward pass runs, for counting."""
        self.losses()

    def state(self):
        return self.cohort

    def use(self, images, labels):
        self.images = images.to(memory_format=torch.channels_last) if self.is_bfloat16 else images
        self.labels = labels

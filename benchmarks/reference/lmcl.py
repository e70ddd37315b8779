"""A training step of layer-wise MCL (arXiv 2207.11518) in plain PyTorch, and the meta step of its matching network.

The losses loop over ordered pairs of networks and all pairs of their stages, as the sums are published. The hypergradient
is reverse mode through the look-ahead steps, each differentiated by itself with torch.autograd.grad(create_graph=True).
"""

import torch
import torch.nn.functional as F
from torch import nn

from mcl import (
    DISTILLATION_TEMPERATURE,
    EMBEDDING_SIZE,
    SGD,
    TEMPERATURE,
    EmbeddingHeads,
    MclStep,
    contrast_per_anchor,
    distil,
    find_positives,
    weighted,
)
from networks import ARCHITECTURES

INNER_STEPS = 2


class RefinementBranch(nn.Module):
    """Fresh copies of the stages after one, pooling and a classifier."""

    def __init__(self, architecture, stage, classes):
        super().__init__()
        self.stages = nn.Sequential(*(architecture.stage(k) for k in range(stage + 1, architecture.stage_count)))
        self.classifier = nn.Linear(architecture.width, classes)

    def forward(self, features):
        embedding = F.adaptive_avg_pool2d(self.stages(features), 1).flatten(1)
        return embedding, self.classifier(embedding)


class RefinementBranches(nn.Module):
    """A branch on every stage but the last."""

    def __init__(self, architecture, classes):
        super().__init__()
        stages = range(architecture.stage_count - 1)
        self.branches = nn.ModuleList(RefinementBranch(architecture, stage, classes) for stage in stages)


class CohortBranches(nn.Module):
    def __init__(self, models, classes):
        super().__init__()
        self.networks = nn.ModuleList(RefinementBranches(ARCHITECTURES[model], classes) for model in models)


class MatchingNetwork(nn.Module):
    """`sigmoid(cos(g_a(f_a), g_c(f_c)))` between all stages of all networks: `[B, E, E]`."""

    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, EMBEDDING_SIZE) for width in widths)

    def forward(self, features):
        projected = [layer(feature) for layer, feature in zip(self.layers, features)]
        directions = F.normalize(torch.stack(projected, 1), dim=2)
        return torch.sigmoid(directions @ directions.transpose(1, 2))


class Aggregator(nn.Module):
    """Attention over a network's stages that makes its strongest logits."""

    def __init__(self, width, stages):
        super().__init__()
        self.fc1 = nn.Linear(width * stages, width)
        self.fc2 = nn.Linear(width, stages)

    def forward(self, embeddings, logits):
        attention = torch.softmax(self.fc2(F.relu(self.fc1(torch.cat(embeddings, 1)))), 1)
        return (torch.stack(logits, 1) * attention.unsqueeze(2)).sum(1)


class Aggregators(nn.Module):
    def __init__(self, models):
        super().__init__()
        kinds = [ARCHITECTURES[model] for model in models]
        self.networks = nn.ModuleList(Aggregator(kind.width, kind.stage_count) for kind in kinds)


class LmclCohort(nn.Module):
    """Networks and everything that exists only in training."""

    def __init__(self, models, classes):
        super().__init__()
        kinds = [ARCHITECTURES[model] for model in models]
        widths = [kind.width for kind in kinds for _ in range(kind.stage_count)]
        self.network = nn.ModuleList(kind(classes) for kind in kinds)
        self.branches = CohortBranches(models, classes)
        self.heads = EmbeddingHeads(widths)
        self.matching = MatchingNetwork(widths)
        self.aggregators = Aggregators(models)

    def stage_outputs(self, images):
        """Embeddings and logits of every stage, network by network."""
        result = []
        for network, extra in zip(self.network, self.branches.networks):
            logits, features, maps = network(images)
            refined = [branch(feature_map) for branch, feature_map in zip(extra.branches, maps)]
            result.append(([e for e, _ in refined] + [features], [l for _, l in refined] + [logits]))
        return result


def weighted_distil(student, teacher, weight):
    """As `distil`, every row with its own weight."""
    t = DISTILLATION_TEMPERATURE
    log_student = F.log_softmax(student / t, dim=1)
    probabilities = F.softmax(teacher.detach() / t, dim=1)
    rows = F.kl_div(log_student, probabilities, reduction="none").sum(1)
    return (rows * weight).sum() * t * t / len(student)


def layerwise_losses(embeddings, labels, match):
    """The four terms; embeddings `[B, D]` of every stage of every network, match `[B, E, E]`."""
    own, positives = find_positives(labels)
    starts = [sum(len(stages) for stages in embeddings[:i]) for i in range(len(embeddings))]
    vcl = icl = soft_vcl = soft_icl = 0.0
    for i, first in enumerate(embeddings):
        for j, second in enumerate(embeddings):
            if i == j:
                continue
            for k, a in enumerate(first):
                for z, b in enumerate(second):
                    weight = match[:, starts[i] + k, starts[j] + z]
                    aa = a @ a.t() / TEMPERATURE
                    bb = b @ b.t() / TEMPERATURE
                    ab = a @ b.t() / TEMPERATURE
                    ba = b @ a.t() / TEMPERATURE
                    for similarities in (aa, bb):
                        vcl = vcl + (contrast_per_anchor(similarities, positives, own) * weight).sum()
                    for similarities in (ab, ba):
                        icl = icl + (contrast_per_anchor(similarities, positives, own) * weight).sum()
                    soft_vcl = soft_vcl + weighted_distil(aa, bb, weight) + weighted_distil(bb, aa, weight)
                    soft_icl = soft_icl + weighted_distil(ab, ba, weight) + weighted_distil(ba, ab, weight)
    return {"vcl": vcl, "icl": icl, "softVcl": soft_vcl, "softIcl": soft_icl}


def or_zeros(gradients, tensors):
    return [torch.zeros_like(t) if g is None else g for g, t in zip(gradients, tensors)]


def hypergradient(parameters, meta_parameters, objectives, outer, learning_rate, momentum, weight_decay):
    """Gradients of the outer loss after one SGD step on every objective, and that loss; parameters are left changed."""
    velocities = [torch.zeros_like(p) for p in parameters]
    before = []
    for objective in objectives:
        before.append([p.detach().clone() for p in parameters])
        gradients = or_zeros(torch.autograd.grad(objective(), parameters, allow_unused=True), parameters)
        with torch.no_grad():
            for p, v, g in zip(parameters, velocities, gradients):
                v.mul_(momentum).add_(g).add_(p, alpha=weight_decay)
                p.sub_(v, alpha=learning_rate)
    outer_loss = outer()
    adjoints = or_zeros(torch.autograd.grad(outer_loss, parameters, allow_unused=True), parameters)
    velocity_adjoints = [torch.zeros_like(p) for p in parameters]
    result = [torch.zeros_like(p) for p in meta_parameters]
    inputs = [*parameters, *meta_parameters]
    for objective, state in zip(reversed(objectives), reversed(before)):
        with torch.no_grad():
            for p, value in zip(parameters, state):
                p.copy_(value)
            for v, a in zip(velocity_adjoints, adjoints):
                v.sub_(a, alpha=learning_rate)
        first = torch.autograd.grad(objective(), parameters, create_graph=True, allow_unused=True)
        used = [(g, v) for g, v in zip(first, velocity_adjoints) if g is not None and g.requires_grad]
        products = torch.autograd.grad(
            [g for g, _ in used], inputs, grad_outputs=[v for _, v in used], allow_unused=True
        )
        products = or_zeros(products, inputs)
        with torch.no_grad():
            for total, product in zip(result, products[len(parameters) :]):
                total.add_(product)
            adjoints = [
                a.add(v, alpha=weight_decay).add(p) for a, v, p in zip(adjoints, velocity_adjoints, products)
            ]
            for v in velocity_adjoints:
                v.mul_(momentum)
    return result, outer_loss.item()


class LmclStep(MclStep):
    """One training step, followed by a meta step where that is wanted."""

    def __init__(self, models, classes, batch, is_bfloat16, has_meta_step):
        super().__init__(models, classes, batch, is_bfloat16)
        self.has_meta_step = has_meta_step
        self.meta_optimizer = torch.optim.SGD(self.cohort.matching.parameters(), **SGD)

    def make_cohort(self, models, classes):
        return LmclCohort(models, classes)

    def trained(self):
        matching = set(self.cohort.matching.parameters())
        return [p for p in self.cohort.parameters() if p not in matching]

    def outputs(self):
        return [
            ([e.float() for e in embeddings], [l.float() for l in logits])
            for embeddings, logits in self.cohort.stage_outputs(self.images)
        ]

    def contrast(self, outputs, match):
        embeddings = iter(self.cohort.heads([e for stages, _ in outputs for e in stages]))
        by_network = [[next(embeddings) for _ in stages] for stages, _ in outputs]
        return layerwise_losses(by_network, self.labels, match)

    def match(self, outputs):
        return self.cohort.matching([e for stages, _ in outputs for e in stages])

    def losses(self):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.is_bfloat16):
            outputs = self.cohort.stage_outputs(self.images)
        outputs = [([e.float() for e in es], [l.float() for l in ls]) for es, ls in outputs]
        with torch.no_grad():
            match = self.match(outputs)
        aggregated = [
            aggregator(embeddings, logits)
            for aggregator, (embeddings, logits) in zip(self.cohort.aggregators.networks, outputs)
        ]
        every = [l for _, logits in outputs for l in logits] + aggregated
        return {
            "classification": sum(F.cross_entropy(logits, self.labels) for logits in every),
            **self.contrast(outputs, match),
            "logit": sum(distil(logits[-1], target) for _, logits in outputs for target in aggregated),
        }

    def total(self, losses):
        return losses["classification"] + losses["logit"] + weighted(losses)

    def step(self):
        values = super().step()
        return {**values, **self.meta_step()} if self.has_meta_step else values

    def inner(self):
        outputs = self.outputs()
        return weighted(self.contrast(outputs, self.match(outputs)))

    def outer(self):
        return sum(F.cross_entropy(logits, self.labels) for _, stages in self.outputs() for logits in stages)

    def meta_step(self):
        """Trains the matching network; everything else is as before afterwards."""
        aggregating = set(self.cohort.aggregators.parameters())
        parameters = [p for p in self.trained() if p not in aggregating]
        buffers = list(self.cohort.buffers())
        saved = [t.detach().clone() for t in [*parameters, *buffers]]
        meta_parameters = list(self.cohort.matching.parameters())
        gradients, outer_loss = hypergradient(
            parameters,
            meta_parameters,
            [self.inner] * INNER_STEPS + [self.outer],
            self.outer,
            SGD["lr"],
            SGD["momentum"],
            SGD["weight_decay"],
        )
        with torch.no_grad():
            for tensor, value in zip([*parameters, *buffers], saved):
                tensor.copy_(value)
        for parameter, gradient in zip(meta_parameters, gradients):
            parameter.grad = gradient
        self.meta_optimizer.step()
        norm = torch.sqrt(sum(g.square().sum() for g in gradients)).item()
        return {"metaLoss": outer_loss, "hypergradientNorm": norm}

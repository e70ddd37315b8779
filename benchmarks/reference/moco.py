"""A training step of MoCo with Mutual Contrastive Learning (arXiv 2104.12565) in plain PyTorch, looping over pairs of networks.

Keys run in evaluation mode with averaged statistics (EMAN, arXiv 2101.08482), at first a plain mean; the second view of an
image is its mirror image.
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from mcl import EMBEDDING_SIZE, SGD, distil
from networks import ARCHITECTURES

TEMPERATURE = 0.07  # tau, of the similarities
KEY_MOMENTUM = 0.999
QUEUE = 4096


class ProjectionHead(nn.Module):
    """Linear, L2 normalise; used in training only."""

    def __init__(self, in_features):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(in_features, EMBEDDING_SIZE)])

    def forward(self, features):
        return F.normalize(self.layers[0](features), dim=1)


class ProjectionHeads(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.heads = nn.ModuleList(ProjectionHead(width) for width in widths)

    def forward(self, features):
        return [head(feature) for head, feature in zip(self.heads, features)]


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))


class Keys(nn.Module):
    """Averages of the networks and their heads."""

    def __init__(self, networks, heads):
        super().__init__()
        self.networks = copy.deepcopy(networks)
        self.heads = copy.deepcopy(heads)
        self.counter = Counter()
        for parameter in self.parameters():
            parameter.requires_grad = False

    @torch.no_grad()
    def follow(self, networks, heads):
        before = int(self.counter.updates)
        self.counter.updates += 1
        for own, followed in ((self.networks, networks), (self.heads, heads)):
            for key, query in zip(own.parameters(), followed.parameters()):
                key.mul_(KEY_MOMENTUM).add_(query, alpha=1 - KEY_MOMENTUM)
            decay = min(1 - 1 / (before + 1), KEY_MOMENTUM)
            for key, query in zip(own.buffers(), followed.buffers()):
                if key.is_floating_point():
                    key.mul_(decay).add_(query, alpha=1 - decay)
                else:
                    key.copy_(query)


class Rows(nn.Module):
    """One queue `[K, D]` per network."""

    def __init__(self, count):
        super().__init__()
        for network in range(count):
            self.register_buffer(str(network), F.normalize(torch.randn(QUEUE, EMBEDDING_SIZE), dim=1))


class Queues(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.queues = Rows(count)
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys):
        batch = len(keys[0])
        places = (int(self.pointer) + torch.arange(batch)) % QUEUE
        for network, key in enumerate(keys):
            getattr(self.queues, str(network))[places] = key
        self.pointer.fill_((int(self.pointer) + batch) % QUEUE)


class MocoCohort(nn.Module):
    def __init__(self, models, classes):
        super().__init__()
        self.network = nn.ModuleList(ARCHITECTURES[model](classes) for model in models)
        self.heads = ProjectionHeads([network.width for network in self.network])
        self.keys = Keys(self.network, self.heads)
        self.queues = Queues(len(models))


class MocoMclStep:
    """Does one training step at a time on one batch."""

    def __init__(self, models, classes, batch, is_bfloat16):
        self.is_bfloat16 = is_bfloat16
        self.use(torch.randn(batch, 3, 32, 32), None)
        self.cohort = MocoCohort(models, classes)
        if is_bfloat16:
            self.cohort = self.cohort.to(memory_format=torch.channels_last)
        trained = [parameter for parameter in self.cohort.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(trained, **SGD)

    def networks(self):
        return self.cohort.network

    def embed(self, networks, heads, images):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.is_bfloat16):
            outputs = [network(images) for network in networks]
        return heads([features.float() for _, features, _ in outputs])

    def losses(self):
        cohort = self.cohort
        queries = self.embed(cohort.network, cohort.heads, self.images)
        cohort.keys.follow(cohort.network, cohort.heads)
        cohort.keys.networks.eval()
        with torch.no_grad():
            keys = self.embed(cohort.keys.networks, cohort.keys.heads, self.mirrored)
        self.latest = keys
        queues = [getattr(cohort.queues.queues, str(network)) for network in range(len(keys))]
        right = torch.zeros(len(self.images), dtype=torch.int64)
        scores = [
            [
                torch.cat([(query * key).sum(1, keepdim=True), query @ queue.t()], 1) / TEMPERATURE
                for key, queue in zip(keys, queues)
            ]
            for query in queries
        ]
        vcl = soft_vcl = icl = soft_icl = 0.0
        for i in range(len(queries)):
            vcl = vcl + F.cross_entropy(scores[i][i], right)
            for j in range(len(queries)):
                if i == j:
                    continue
                icl = icl + F.cross_entropy(scores[i][j], right)
                soft_vcl = soft_vcl + distil(scores[i][i], scores[j][j])
                soft_icl = soft_icl + distil(scores[i][j], scores[j][i])
        return {"vcl": vcl, "icl": icl, "softVcl": soft_vcl, "softIcl": soft_icl}

    def step(self):
        self.optimizer.zero_grad()
        losses = self.losses()
        total = sum(losses.values())
        total.backward()
        self.optimizer.step()
        self.cohort.queues.enqueue(self.latest)
        return {**{name: float(loss) for name, loss in losses.items()}, "total": total.item()}

    def forward_only(self):
        """What one step's forward pass runs, for counting."""
        self.losses()

    def state(self):
        return self.cohort

    def use(self, images, _):
        self.images = images.to(memory_format=torch.channels_last) if self.is_bfloat16 else images
        self.mirrored = self.images.flip(3)

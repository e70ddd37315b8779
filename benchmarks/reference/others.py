"""What is compared besides training steps, in plain PyTorch: losses alone, evaluation, and classifying image files."""

import torch
import torch.nn.functional as F
from torch import nn

from lmcl import layerwise_losses
from mcl import EMBEDDING_SIZE, mcl_losses, weighted
from networks import ARCHITECTURES


class Losses:
    """VCL, ICL and their soft forms on embeddings, forward and backward."""

    def __init__(self, networks, stages, classes, batch):
        rows = [F.normalize(torch.randn(batch, EMBEDDING_SIZE), dim=1) for _ in range(networks * stages)]
        self.embeddings = [row.requires_grad_() for row in rows]
        self.stages = stages
        self.labels = torch.randint(classes, (batch,))
        match = torch.rand(batch, networks * stages, networks * stages)
        self.match = (match + match.transpose(1, 2)) / 2

    def step(self):
        for embedding in self.embeddings:
            embedding.grad = None
        if self.stages == 1:
            losses = mcl_losses(self.embeddings, self.labels)
        else:
            starts = range(0, len(self.embeddings), self.stages)
            by_network = [self.embeddings[start : start + self.stages] for start in starts]
            losses = layerwise_losses(by_network, self.labels, self.match)
        total = weighted(losses)
        total.backward()
        return {**{name: float(loss) for name, loss in losses.items()}, "total": total.item()}


class Evaluation:
    """Accuracy of one network over images that lie in memory as bytes."""

    def __init__(self, model, classes, images, batch, is_bfloat16):
        self.network = ARCHITECTURES[model](classes).eval()
        self.cohort = nn.Module()
        self.cohort.network = nn.ModuleList([self.network])
        self.images = torch.randint(256, (images, 3, 32, 32), dtype=torch.uint8)
        self.labels = torch.randint(classes, (images,))
        self.batch = batch
        self.is_bfloat16 = is_bfloat16
        if is_bfloat16:
            self.network = self.network.to(memory_format=torch.channels_last)

    def networks(self):
        return self.cohort.network

    def state(self):
        return self.cohort

    def use(self, images, labels):
        self.images, self.labels = images, labels

    def forward_only(self):
        with torch.no_grad():
            self.network(torch.zeros(1, 3, 32, 32))

    def step(self):
        right = 0
        surprise = 0.0
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.is_bfloat16):
            for start in range(0, len(self.images), self.batch):
                images = (self.images[start : start + self.batch].float() / 255 - 0.5) / 0.25
                labels = self.labels[start : start + self.batch]
                if self.is_bfloat16:
                    images = images.contiguous(memory_format=torch.channels_last)
                probabilities = self.network(images)[0].float().softmax(1)
                right += (probabilities.argmax(1) == labels).sum().item()
                surprise -= probabilities.gather(1, labels[:, None]).clamp(min=1e-12).log().sum().item()
        return {"accuracy": right / len(self.images), "negativeLogLikelihood": surprise / len(self.images)}


class SingleImage:
    """One image at a time through one network."""

    def __init__(self, model, classes):
        self.network = ARCHITECTURES[model](classes).eval()
        self.cohort = nn.Module()
        self.cohort.network = nn.ModuleList([self.network])
        self.images = torch.randn(1, 3, 32, 32)

    def networks(self):
        return self.cohort.network

    def state(self):
        return self.cohort

    def use(self, images, _):
        self.images = images

    def forward_only(self):
        with torch.no_grad():
            self.network(self.images)

    def step(self):
        with torch.inference_mode():
            return {"logit": self.network(self.images)[0][0, 0].item()}


class Prediction:
    """Classes of image files: decode with Pillow, resize, normalise, run in batches."""

    def __init__(self, model, classes, paths, batch):
        import numpy
        from PIL import Image

        self.numpy, self.open = numpy, Image.open
        self.network = ARCHITECTURES[model](classes).eval()
        self.paths = paths
        self.batch = batch

    def networks(self):
        return [self.network]

    def state(self):
        return self.network

    def forward_only(self):
        with torch.no_grad():
            self.network(torch.zeros(1, 3, 32, 32))

    def step(self):
        with torch.inference_mode():
            for start in range(0, len(self.paths), self.batch):
                pixels = []
                for path in self.paths[start : start + self.batch]:
                    with self.open(path) as image:
                        small = image.convert("RGB").resize((32, 32))
                    pixels.append(torch.from_numpy(self.numpy.array(small)).permute(2, 0, 1))
                images = (torch.stack(pixels).float() / 255 - 0.5) / 0.25
                self.network(images)[0].softmax(1).topk(5)
        return {}

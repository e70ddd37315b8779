"""CIFAR ResNets, ResNet-18, WRN-16-2, ShuffleNetV2 1x and MobileNetV2 in plain PyTorch, as their reference implementations write them.

State dicts have the names of Cohort's, so that weights can be carried over to compare losses. Every network has `stages`
(the feature map after each), `finish` (what lies between the last stage and pooling) and `classifier`.
"""

import torch
import torch.nn.functional as F
from torch import nn


def conv3x3(inputs, outputs, stride=1, groups=1):
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


class Network(nn.Module):
    """Runs stem, stages, final layers, pooling and classifier."""

    def stem(self, x):
        return F.relu(self.bn1(self.conv1(x)), inplace=True)

    def finish(self, x):
        return x

    def forward(self, x):
        """Logits `[B, classes]`, pooled features `[B, D]` and the feature map of every stage."""
        x = self.stem(x)
        maps = []
        for stage in self.stages():
            x = stage(x)
            maps.append(x)
        features = F.adaptive_avg_pool2d(self.finish(x), 1).flatten(1)
        return self.head(features), features, maps


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(Network):
    """Three stages of basic blocks, 6n + 2 layers (arXiv 1512.03385, section 4.2)."""

    width = 64
    stage_count = 3
    blocks = None

    def __init__(self, classes):
        super().__init__()
        self.conv1 = conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(0)
        self.layer2 = self.stage(1)
        self.layer3 = self.stage(2)
        self.classifier = nn.Linear(64, classes)

    @classmethod
    def stage(cls, index):
        """Refinement branches make stages of their own."""
        inputs, outputs = [(16, 16), (16, 32), (32, 64)][index]
        first = BasicBlock(inputs, outputs, 1 if index == 0 else 2)
        return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(cls.blocks - 1)))

    def stages(self):
        return [self.layer1, self.layer2, self.layer3]

    def head(self, features):
        return self.classifier(features)


class WideBlock(nn.Module):
    """Normalise, ReLU, 3x3 convolution, twice, around a shortcut (arXiv 1605.07146, figure 1b)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.relu = nn.ReLU(inplace=True)
        self.convShortcut = None if inputs == outputs else conv1x1(inputs, outputs, stride)

    def forward(self, x):
        activated = self.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(activated)
        return self.conv2(self.relu(self.bn2(self.conv1(activated)))) + shortcut


class WideGroup(nn.Module):
    """Blocks of one width."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.layer = nn.Sequential(WideBlock(inputs, outputs, stride), WideBlock(outputs, outputs, 1))

    def forward(self, x):
        return self.layer(x)


class WideResNet(Network):
    """WRN-16-2: three groups of two pre-activation blocks (arXiv 1605.07146, table 1)."""

    width = 128
    stage_count = 3

    def __init__(self, classes):
        super().__init__()
        self.conv1 = conv3x3(3, 16)
        self.block1 = WideGroup(16, 32, 1)
        self.block2 = WideGroup(32, 64, 2)
        self.block3 = WideGroup(64, 128, 2)
        self.bn1 = nn.BatchNorm2d(128)
        self.fc = nn.Linear(128, classes)

    def stem(self, x):
        return self.conv1(x)

    def stages(self):
        return [self.block1, self.block2, self.block3]

    def finish(self, x):
        return F.relu(self.bn1(x), inplace=True)

    def head(self, features):
        return self.fc(features)


def channel_shuffle(x, groups=2):
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width).transpose(1, 2).contiguous()
    return x.view(batch, channels, height, width)


class ShuffleUnit(nn.Module):
    """Half of the channels pass by, the others are transformed (arXiv 1807.11164, figure 3c)."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.conv1 = conv1x1(half, half)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = conv3x3(half, half, groups=half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv1x1(half, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        right = self.relu(self.bn1(self.conv1(right)))
        right = self.bn2(self.conv2(right))
        right = self.relu(self.bn3(self.conv3(right)))
        return channel_shuffle(torch.cat([left, right], 1))


class DownUnit(nn.Module):
    """Halves the resolution on two branches that both see every channel (figure 3d)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        half = outputs // 2
        self.conv1 = conv3x3(inputs, inputs, 2, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = conv1x1(inputs, half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv1x1(inputs, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = conv3x3(half, half, 2, groups=half)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv1x1(half, half)
        self.bn5 = nn.BatchNorm2d(half)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        left = self.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.relu(self.bn3(self.conv3(x)))
        right = self.relu(self.bn5(self.conv5(self.bn4(self.conv4(right)))))
        return channel_shuffle(torch.cat([left, right], 1))


class ShuffleNetV2(Network):
    """ShuffleNetV2 1x with a 3x3 stem without stride, for 32 by 32 pixels (arXiv 1807.11164, table 5)."""

    width = 1024
    stage_count = 3

    def __init__(self, classes):
        super().__init__()
        self.conv1 = conv3x3(3, 24)
        self.bn1 = nn.BatchNorm2d(24)
        self.layer1 = self.stage(24, 116, 4)
        self.layer2 = self.stage(116, 232, 8)
        self.layer3 = self.stage(232, 464, 4)
        self.conv2 = conv1x1(464, 1024)
        self.bn2 = nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, classes)

    @staticmethod
    def stage(inputs, outputs, blocks):
        return nn.Sequential(DownUnit(inputs, outputs), *(ShuffleUnit(outputs) for _ in range(blocks - 1)))

    def stages(self):
        return [self.layer1, self.layer2, self.layer3]

    def finish(self, x):
        return F.relu(self.bn2(self.conv2(x)), inplace=True)

    def head(self, features):
        return self.linear(features)


def conv_norm_relu6(inputs, outputs, size, stride=1, groups=1):
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, linear 1x1 (arXiv 1801.04381, figure 4d)."""

    def __init__(self, inputs, outputs, stride, widening):
        super().__init__()
        hidden = inputs * widening
        expand = [] if widening == 1 else [conv_norm_relu6(inputs, hidden, 1)]
        self.conv = nn.Sequential(
            *expand,
            conv_norm_relu6(hidden, hidden, 3, stride, hidden),
            conv1x1(hidden, outputs),
            nn.BatchNorm2d(outputs),
        )
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.has_shortcut else self.conv(x)


class MobileNetV2(Network):
    """MobileNetV2 with a stem and a second group of blocks without stride, for 32 by 32 pixels; torchvision's names."""

    width = 1280
    stage_count = 4
    forms = [[(24, 2)], [(32, 3)], [(64, 4), (96, 3)], [(160, 3), (320, 1)]]
    strides = [1, 2, 2, 2]

    def __init__(self, classes):
        super().__init__()
        layers = [conv_norm_relu6(3, 32, 3), InvertedResidual(32, 16, 1, 1)]
        self.ends = []
        before = 16
        for form, first in zip(self.forms, self.strides):
            strides = iter([first])
            for outputs, blocks in form:
                for _ in range(blocks):
                    layers.append(InvertedResidual(before, outputs, next(strides, 1), 6))
                    before = outputs
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers, conv_norm_relu6(320, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(1280, classes))

    def stem(self, x):
        return self.features[:2](x)

    def stages(self):
        return [self.features[begin:end] for begin, end in zip([2, *self.ends], self.ends)]

    def finish(self, x):
        return self.features[-1](x)

    def head(self, features):
        return self.classifier(features)


class ImagenetResNet18(Network):
    """ResNet-18 for large images: a 7x7 stem, max pooling and four stages (arXiv 1512.03385, table 1); torchvision's names."""

    width = 512
    stage_count = 4

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self.stage(0)
        self.layer2 = self.stage(1)
        self.layer3 = self.stage(2)
        self.layer4 = self.stage(3)
        self.fc = nn.Linear(512, classes)

    @staticmethod
    def stage(index):
        inputs, outputs = [(64, 64), (64, 128), (128, 256), (256, 512)][index]
        return nn.Sequential(BasicBlock(inputs, outputs, 1 if index == 0 else 2), BasicBlock(outputs, outputs, 1))

    def stem(self, x):
        return F.max_pool2d(super().stem(x), 3, 2, padding=1)

    def stages(self):
        return [self.layer1, self.layer2, self.layer3, self.layer4]

    def head(self, features):
        return self.fc(features)


class ResNet20(ResNet):
    blocks = 3


class ResNet32(ResNet):
    blocks = 5


ARCHITECTURES = {
    "imagenet-resnet18": ImagenetResNet18,
    "resnet20": ResNet20,
    "resnet32": ResNet32,
    "wrn-16-2": WideResNet,
    "shufflenetv2-1x": ShuffleNetV2,
    "mobilenetv2": MobileNetV2,
}

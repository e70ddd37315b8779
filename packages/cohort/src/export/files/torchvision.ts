/** Weights for PyTorch: safetensors with torchvision's names, and a loader of a few lines. */
import { encodeTensors } from '@cohort-ml/torch';
import type { ExportEntry } from '../entries.ts';
import { ExportError } from '../errors.ts';
import type { ExportedFile } from '../folder.ts';
import { textFile } from '../folder.ts';
import type { ExportManifest } from '../manifest.ts';

/** How torchvision makes an architecture of ours. */
interface Counterpart {
  /** Function of torchvision.models. */
  readonly builder: string;
  /** Where its first convolution stands, for images that are not in colour. */
  readonly stem: string;
  /** What differs from torchvision's network apart from the number of classes. */
  readonly changes?: readonly string[];
}

const counterparts: ReadonlyMap<string, Counterpart> = new Map([
  ['imagenet-resnet18', { builder: 'resnet18', stem: 'conv1' }],
  ['imagenet-resnet34', { builder: 'resnet34', stem: 'conv1' }],
  ['imagenet-resnet50', { builder: 'resnet50', stem: 'conv1' }],
  ['imagenet-mobilenetv2', { builder: 'mobilenet_v2', stem: 'features[0][0]' }],
  ['imagenet-mobilenetv3-large', { builder: 'mobilenet_v3_large', stem: 'features[0][0]' }],
  ['imagenet-mobilenetv3-small', { builder: 'mobilenet_v3_small', stem: 'features[0][0]' }],
  ['imagenet-shufflenetv2-0.5x', { builder: 'shufflenet_v2_x0_5', stem: 'conv1[0]' }],
  ['imagenet-shufflenetv2-1x', { builder: 'shufflenet_v2_x1_0', stem: 'conv1[0]' }],
  [
    'mobilenetv2',
    {
      builder: 'mobilenet_v2',
      stem: 'features[0][0]',
      changes: [
        '# For small images the stem and the second group of blocks keep the resolution.',
        'model.features[0][0].stride = (1, 1)',
        'model.features[2].conv[1][0].stride = (1, 1)',
      ],
    },
  ],
]);

/** Name of the file of weights. */
export const weightsPath = 'model.safetensors';

/**
 * Checks that an entry can be written for torchvision.
 *
 * @throws {ExportError} for an ensemble and for architectures that torchvision does not have, listing those that it has
 */
export function checkTorchvision(entries: readonly ExportEntry[]): void {
  const [first, ...others] = entries;
  if (first === undefined || others.length > 0 || first.network === null) {
    throw new ExportError(
      'The format torchvision holds one network, not an ensemble. Name one with --network, or leave torchvision out of --format.',
    );
  }
  if (counterparts.has(first.architecture)) return;
  throw new ExportError(
    `torchvision has no architecture ${first.architecture}, only ${[...counterparts.keys()].join(', ')}. Leave torchvision out of --format; the weights themselves are in the run's checkpoint, in safetensors.`,
  );
}

/** Weights and loader. */
export function torchvisionFiles(entry: ExportEntry, manifest: ExportManifest): ExportedFile[] {
  const counterpart = counterparts.get(entry.architecture);
  if (entry.network === null || counterpart === undefined) return [];
  const metadata = {
    format: 'pt',
    architecture: `torchvision.models.${counterpart.builder}`,
    labels: JSON.stringify(manifest.labels),
  };
  const parts = encodeTensors(entry.network.stateDict(), metadata);
  return [
    { path: weightsPath, content: Buffer.concat(parts) },
    textFile('load_model.py', loader(counterpart, manifest)),
  ];
}

function loader({ builder, stem, changes = [] }: Counterpart, manifest: ExportManifest): string {
  const { labels, input, preprocessing } = manifest;
  const { mean, std, resize } = preprocessing;
  const channels = mean.length;
  const size = `[${input.height}, ${input.width}]`;
  const resizing =
    resize.fit === 'cover'
      ? [
          `    transforms.Resize(${Math.max(input.height, input.width)}, transforms.InterpolationMode.LANCZOS),`,
          `    transforms.CenterCrop(${size}),`,
        ]
      : [`    transforms.Resize(${size}, transforms.InterpolationMode.LANCZOS),`];
  const stemLines =
    channels === 3
      ? []
      : [
          `stem = model.${stem}`,
          `model.${stem} = torch.nn.Conv2d(${channels}, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=False)`,
        ];
  return `"""Loads ${weightsPath} into torchvision's ${builder}: \`python load_model.py IMAGE\`, or \`from load_model import model\`.

Needs: pip install torch torchvision safetensors pillow
"""
from pathlib import Path

import torch
from safetensors.torch import load_file
from torchvision import models, transforms

labels = ${JSON.stringify(labels)}

model = models.${builder}(weights=None, num_classes=${labels.length})
${[...changes, ...stemLines].map((line) => `${line}\n`).join('')}model.load_state_dict(load_file(Path(__file__).with_name("${weightsPath}")), strict=True)
model.eval()

# Pillow resizes a little differently from the code that the network was trained with.
preprocess = transforms.Compose([
${resizing.join('\n')}
    transforms.ToTensor(),
    transforms.Normalize(${JSON.stringify(mean)}, ${JSON.stringify(std)}),
])

if __name__ == "__main__":
    import sys

    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("${channels === 1 ? 'L' : 'RGB'}")
    with torch.no_grad():
        probabilities = model(preprocess(image).unsqueeze(0)).softmax(1)[0]
    for probability, label in sorted(zip(probabilities.tolist(), labels), reverse=True)[:5]:
        print(f"{100 * probability:6.2f} %  {label}")
`;
}

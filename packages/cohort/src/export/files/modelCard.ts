/** The exported folder's README.md: what the network is, how good it is, and how to use every file. */
import type { DatasetAbout } from '../../data/about.ts';
import { textFile, type ExportedFile } from '../folder.ts';
import type { ExportManifest, ManifestModel, ManifestNetwork, ManifestParity } from '../manifest.ts';
import type { ExportFormat } from '../options.ts';
import { dtypeNames } from './transformersJs.ts';

/** What the card says that is not in the manifest. */
export interface CardContent {
  readonly manifest: ExportManifest;
  readonly formats: readonly ExportFormat[];
  readonly hasPage: boolean;
  /** Of the dataset; absent for a folder of the user's own. */
  readonly about?: DatasetAbout | undefined;
  readonly trainingImages: number;
  /** Lines of the recipe that tell how it was trained. */
  readonly recipe: string;
}

/** The card. */
export function modelCard(content: CardContent): ExportedFile {
  const { manifest } = content;
  const [first] = manifest.networks;
  const sections = [
    `# ${manifest.run.id}: ${first?.name ?? ''}`,
    introduction(content),
    dataSection(content),
    accuracySection(manifest),
    filesSection(content),
    usageSection(content),
    trainingSection(content),
    licenceSection(content),
  ];
  return textFile('README.md', `${sections.join('\n\n')}\n`);
}

function introduction({ manifest }: CardContent): string {
  const { labels, networks, run, input } = manifest;
  const [first] = networks;
  const what =
    first?.kind === 'ensemble'
      ? `an ensemble (${first.architecture})`
      : `a network of the architecture \`${first?.architecture ?? ''}\``;
  const size = `${input.width} x ${input.height}`;
  const note = run.finished
    ? ''
    : '\n\n**The training had not finished when this was exported:** the network may still get better.';
  return `An image classifier for ${labels.length} classes: ${what}, trained by \`${run.method}\` with [Cohort](https://www.npmjs.com/package/cohort-ml) on images of ${size} pixels. It was exported from checkpoint \`${run.checkpoint}\` (epoch ${run.epoch}).${note}

Classes: ${listed(labels)}`;
}

function listed(labels: readonly string[]): string {
  const shown = labels.slice(0, 20).join(', ');
  return labels.length > 20 ? `${shown} and ${labels.length - 20} more (see \`labels.json\`).` : `${shown}.`;
}

function dataSection({ about, trainingImages }: CardContent): string {
  const count = number(trainingImages);
  const what =
    about === undefined
      ? `${count} images of the user's own`
      : `${count} images of [${about.title}](${about.homepage})`;
  const limits =
    "It can only name these classes and has no answer for 'none of them'; images unlike the training images get answers that mean little.";
  return `## Data\n\nTrained on ${what}. ${limits}`;
}

function accuracySection({ networks, models }: ExportManifest): string {
  const rows = networks.map((network) => [
    network.name,
    percent(network.trained.accuracy),
    percent(network.trained.topFiveAccuracy),
    network.trained.negativeLogLikelihood.toFixed(4),
    network.trained.expectedCalibrationError.toFixed(4),
    network.parameters.toLocaleString('en-US'),
    `${(network.multiplyAdds / 1e6).toFixed(1)} M`,
  ]);
  const scores = table(
    [
      'network',
      'accuracy',
      'top 5',
      'negative log-likelihood',
      'calibration error',
      'parameters',
      'multiply-adds',
    ],
    rows,
  );
  const images = number(networks[0]?.trained.images ?? 0);
  const heading = `## Accuracy and calibration\n\nOn ${images} test images. The calibration error is the expected gap between the probability of the named class and how often it is right (15 bins).\n\n${scores}`;
  if (models.length === 0) return heading;
  return `${heading}\n\nEvery model file was run on test images again before it was written, and compared with the network as it was trained:\n\n${parityTable(models)}`;
}

function parityTable(models: readonly ManifestModel[]): string {
  const rows = models.flatMap(({ path, precision, bytes, parity }) =>
    parity.flatMap(({ program, networks }) =>
      networks.map((network) => [
        `\`${path}\``,
        precision,
        `${(bytes / 1024).toFixed(0)} KiB`,
        network.name,
        program,
        number(network.images),
        percent(network.accuracy),
        pointsLost(network),
        percent(network.agreement),
        network.relativeError.toExponential(1),
      ]),
    ),
  );
  return table(
    [
      'file',
      'precision',
      'size',
      'network',
      'run by',
      'images',
      'accuracy',
      'points lost',
      'same class',
      'largest difference of a score, relative',
    ],
    rows,
  );
}

function filesSection({ manifest, formats, hasPage }: CardContent): string {
  const { input, preprocessing, models } = manifest;
  const luminance = preprocessing.luminance === null ? 'red, green, blue' : 'luminance (ITU-R 601)';
  const lines = [
    ...models.map(
      (model) =>
        `- \`${model.path}\`: ONNX (operator set ${model.opset}), ${model.precision}${quantisationText(model)}`,
    ),
    '- `labels.json`: the classes in the order of the scores',
    '- `cohort.json`: everything that is said here, for programs, with the SHA-256 of every file',
    ...(formats.includes('transformers.js')
      ? ['- `config.json`, `preprocessor_config.json`: for transformers.js']
      : []),
    ...(formats.includes('torchvision')
      ? [
          '- `model.safetensors`, `load_model.py`: weights under the names of torchvision, and how to load them',
        ]
      : []),
    ...(hasPage
      ? ['- `index.html` and the files next to it: a page that classifies images in the browser']
      : []),
  ];
  return `## Files

${lines.join('\n')}

Input \`${input.name}\`: float32 \`[batch, ${input.channels}, ${input.height}, ${input.width}]\`, ${luminance}, pixels from 0 to 255 as they are decoded. The graph normalises them itself (mean ${rounded(preprocessing.mean)}, standard deviation ${rounded(preprocessing.std)} of pixels from 0 to 1). Before that, images are turned upright (EXIF), laid on ${preprocessing.background} where they are transparent, and ${
    preprocessing.resize.fit === 'cover'
      ? 'resized to cover the input with what stands out cut off'
      : 'stretched to the size of the input'
  } (\`${preprocessing.resize.name}\`).
Outputs: ${manifest.networks.map(outputText).join('; ')}.`;
}

function quantisationText({ quantisation }: ManifestModel): string {
  if (quantisation === undefined) return '';
  const { calibrationImages, method } = quantisation;
  return ` (QDQ: activations in uint8, weights in int8 per channel, ranges by ${method} over ${number(calibrationImages)} training images)`;
}

function outputText({ output, name, embedding }: ManifestNetwork): string {
  const features =
    embedding === null ? '' : `, and \`${embedding.output}\`, its ${embedding.size} pooled features`;
  return `\`${output}\`, the class scores of ${name} before softmax${features}`;
}

function usageSection({ manifest, formats, hasPage }: CardContent): string {
  const { models, input } = manifest;
  const parts: string[] = [];
  const [model] = models;
  if (model !== undefined) {
    parts.push(`Browser and Node, without other packages:

\`\`\`ts
import { createClassifier } from '@cohort-ml/runtime';

const classifier = await createClassifier('./this-folder/');
const seen = await classifier.classify(image, { top: 5 }); // [{ label, probability }]
\`\`\``);
    parts.push(`ONNX Runtime in Python (\`pip install onnxruntime pillow numpy\`):

\`\`\`py
import json, numpy, onnxruntime
from PIL import Image, ImageOps

image = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("${input.channels === 1 ? 'L' : 'RGB'}")
image = ${pillowResize(manifest)}
pixels = numpy.asarray(image, numpy.float32).reshape(${input.height}, ${input.width}, ${input.channels}).transpose(2, 0, 1)[None]
scores = onnxruntime.InferenceSession("${model.path}").run(["logits"], {"${input.name}": pixels})[0][0]
print(json.load(open("labels.json"))[scores.argmax()])
\`\`\``);
  }
  if (model !== undefined && formats.includes('transformers.js')) {
    parts.push(`transformers.js:

\`\`\`ts
import { env, pipeline } from '@huggingface/transformers';

env.localModelPath = '..'; // the folder that holds this one
env.allowRemoteModels = false;
const classify = await pipeline('image-classification', 'this-folder', { dtype: '${dtypeNames[model.precision]}' });
console.log(await classify('photo.jpg', { top_k: 5 }));
\`\`\`

In Node it resizes as Cohort did; in the browser it leaves the resizing to the canvas, so that probabilities differ a little.`);
  }
  if (formats.includes('torchvision')) {
    parts.push(
      'PyTorch: `python load_model.py photo.jpg`, or `from load_model import model, labels, preprocess`.',
    );
  }
  if (hasPage) parts.push('The page: `npx serve .` in this folder, or any other static server.');
  return `## How to use it\n\n${parts.join('\n\n')}`;
}

/** Pillow resizes a little differently from the code that the network was trained with. */
function pillowResize({ input, preprocessing }: ExportManifest): string {
  const size = `(${input.width}, ${input.height})`;
  return preprocessing.resize.fit === 'cover'
    ? `ImageOps.fit(image, ${size}, Image.LANCZOS)`
    : `image.resize(${size}, Image.LANCZOS)`;
}

function trainingSection({ recipe }: CardContent): string {
  return `## Training\n\n\`\`\`yaml\n${recipe.trimEnd()}\n\`\`\``;
}

function licenceSection({ about }: CardContent): string {
  const data =
    about === undefined
      ? 'The images were the user’s own: whoever passes this network on must have the right to.'
      : `The training images are under: ${about.licence}. Check what that means for networks trained on them.`;
  return `## Licence\n\n${data} Cohort itself, which wrote these files, is under Apache-2.0.`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(2)} %` : '-';
}

/** Of accuracy against the network as it was trained, on the same images; negative where the file is better by chance. */
function pointsLost({ trainedAccuracy, accuracy }: ManifestParity['networks'][number]): string {
  return (100 * (trainedAccuracy - accuracy)).toFixed(2).replace(/^-(0\.00)$/, '$1');
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

function rounded(values: readonly number[]): string {
  return values.map((value) => value.toFixed(4)).join(', ');
}

/** The README.md of an exported segmenter or detector: what it takes and gives, how near it is to the run, and a program that uses it. */
import { textFile, type ExportedFile } from '../folder.ts';
import type { TaskExportManifest } from './taskManifest.ts';
import { sizeInput } from './twoStageGraph.ts';

/** The card. */
export function taskCard(manifest: TaskExportManifest, hasPage: boolean): ExportedFile {
  const sections = [
    introduction(manifest),
    input(manifest),
    outputs(manifest),
    parity(manifest),
    usage(manifest),
    ...(hasPage ? [page(manifest)] : []),
  ];
  return textFile('README.md', `${sections.join('\n\n')}\n`);
}

function introduction({ run, task, labels, networks }: TaskExportManifest): string {
  const what = networks.map(({ name, architecture }) => `${name} (${architecture})`).join(', ');
  const note = run.finished
    ? ''
    : '\n\n**The training had not finished when this was exported:** the network may still get better.';
  return `# ${run.id}\n\nTask ${task.name}, head ${task.head}: ${what}, trained by \`${run.method}\` with [Cohort](https://www.npmjs.com/package/cohort-ml), checkpoint \`${run.checkpoint}\` (epoch ${run.epoch}).${note}\n\nClasses, from 0 on: ${labels.join(', ')}.`;
}

/** Whether the graph chooses objects by itself, which two-stage detectors do. */
function choosesItself({ choice }: TaskExportManifest): boolean {
  return choice?.levelCounts.length === 0;
}

function input(manifest: TaskExportManifest): string {
  const { name, height, width, fill } = manifest.input;
  const batch = choosesItself(manifest) ? '1' : 'batch';
  const colour = fill.map((value) => value.toFixed(1)).join(', ');
  const size = choosesItself(manifest)
    ? `\n\n\`${sizeInput}\`: float32 \`[2]\`, height and width that the image has inside of those pixels. Boxes end there.`
    : '';
  return `## Input\n\n\`${name}\`: float32 \`[${batch}, 3, ${height}, ${width}]\`, red, green and blue from 0 to 255. Scale an image to fit into ${width} by ${height} pixels with its proportions kept, put it at the top left and fill the rest with ${colour} (the mean of the training images). The graph normalises by itself.${size}`;
}

function outputs(manifest: TaskExportManifest): string {
  const { networks, choice } = manifest;
  const first = choosesItself(manifest) ? 'objects' : 'batch';
  const rows = networks.flatMap((network) =>
    network.outputs.map(
      ({ name, shape, meaning }) =>
        `| \`${name}\` | ${network.name} | \`[${[first, ...shape].join(', ')}]\` | ${meaning} |`,
    ),
  );
  const table = ['| output | network | shape | what it is |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
  if (choice === null) return `## Outputs\n\n${table}`;
  const { scoreThreshold, overlapThreshold, mostDetections, levelCounts } = choice;
  if (choosesItself(manifest)) {
    return `## Outputs\n\n${table}\n\nThe graph takes one image and chooses its objects itself: those with a score above ${scoreThreshold}, of two boxes of one class that overlap by more than ${overlapThreshold} the one with the higher score, at most ${mostDetections}. Boxes are cut off at the border of the image. Divide by the factor that the image was scaled by.`;
  }
  return `## Outputs\n\n${table}\n\nTo choose objects as Cohort does: of the boxes of each pyramid level (${levelCounts.join(', ')}, one level after another) take the 1000 best pairs of box and class with a score above ${scoreThreshold}, cut the boxes off at the border of the image, suppress of two boxes of one class that overlap by more than ${overlapThreshold} the one with the lower score, and keep the ${mostDetections} best. Divide by the factor that the image was scaled by.`;
}

function parity({ models }: TaskExportManifest): string {
  const rows = models.flatMap((model) =>
    model.parity.flatMap(({ program, images, outputs: measured }) =>
      measured.map(
        ({ name, relativeError, agreement }) =>
          `| \`${model.path}\` | ${model.precision} | ${program} | ${images} | \`${name}\` | ${relativeError.toExponential(1)} | ${agreement === null ? '-' : `${(100 * agreement).toFixed(2)} %`} |`,
      ),
    ),
  );
  return [
    '## How near the files are to the run',
    '',
    'Every file was run on test images before it was written. The error is the largest difference, relative to the largest value.',
    '',
    '| file | precision | run by | images | output | error | same class |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function usage(manifest: TaskExportManifest): string {
  const {
    task,
    input: { name, height, width },
    networks,
    models,
  } = manifest;
  const output = networks[0]?.outputs[0]?.name ?? '';
  const hasMasks = task.name === 'instance-segmentation';
  const own =
    task.name === 'segmentation'
      ? `import { createSegmenter } from '@cohort-ml/runtime';

const segmenter = await createSegmenter('.');
const { width, height, labels, shares } = await segmenter.segment('street.jpg'); // the class of every pixel`
      : `import { createDetector } from '@cohort-ml/runtime';

const detector = await createDetector('.');
const { objects } = await detector.detect('photo.jpg', { least: 0.3 }); // [{ label, score, box: [x0, y0, x1, y1]${hasMasks ? ', mask' : ''} }, ...]`;
  const after =
    task.name === 'segmentation'
      ? `const { data, dims } = results.${output}; // [1, classes, ${height}, ${width}]: the class of a pixel is the one with the highest score`
      : choosesItself(manifest)
        ? `const { boxes, scores, labels${hasMasks ? ', masks' : ''} } = results; // one of each per object`
        : `const { scores, boxes } = results; // see above for how objects are chosen`;
  const masks = hasMasks
    ? '\n\nA `mask` is `{ left, top, width, height, data }`: a window of the picture, where `data` is 1 for the pixels of the object and 0 for others.'
    : '';
  const size = choosesItself(manifest)
    ? `, ${sizeInput}: new ort.Tensor('float32', [${height}, ${width}], [2])`
    : '';
  return `## Use it

In Node and browsers, with the pictures as they are:

\`\`\`js
${own}
\`\`\`${masks}

With another program that reads ONNX files:

\`\`\`js
import * as ort from 'onnxruntime-node';

const session = await ort.InferenceSession.create('${models[0]?.path ?? ''}');
const pixels = new Float32Array(3 * ${height} * ${width}); // fill as described under Input
const results = await session.run({ ${name}: new ort.Tensor('float32', pixels, [1, 3, ${height}, ${width}])${size} });
${after}
\`\`\``;
}

function page({ task }: TaskExportManifest): string {
  const what =
    task.name === 'segmentation'
      ? 'lays the colours of the classes over pictures, with a legend'
      : task.name === 'detection'
        ? 'draws boxes with labels over pictures'
        : 'draws boxes with labels over pictures, and the pixels of each object in its colour,';
  return `## The page

\`index.html\` ${what} from files, the clipboard or the camera. Pictures stay in the browser.`;
}

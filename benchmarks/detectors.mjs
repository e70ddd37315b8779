/**
 * `node benchmarks/detectors.mjs [NAME...]`: training steps (forward, losses, backward) of segmenters and detectors as published, in turns
 * with torchvision's same model. User's processor time, one thread each, so that other work on the machine disturbs less; PYTHON names the
 * interpreter that has torchvision.
 */
import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { backward, Generator, ops, scope, setThreads, Tensor } from '@cohort-ml/torch';
import { createNetwork } from 'cohort-ml';
import { taskSchema } from '../packages/cohort/dist/recipes/task.js';
import { createTask } from '../packages/cohort/dist/transfer/training/tasks.js';

const [batch, height, width, classes, objects] = [2, 128, 160, 3, 4];
const [turns, steps] = [5, 2];
const detection = { name: 'detection', width: 256 };
const cases = {
  fcn: ['imagenet-resnet50', { name: 'segmentation', head: 'fcn', width: 512, outputStride: 8 }],
  fcos: ['imagenet-resnet18', { ...detection, head: 'fcos', headLayers: 4 }],
  retinanet: ['imagenet-resnet18', { ...detection, head: 'retinanet', headLayers: 4 }],
  'faster-rcnn': ['imagenet-resnet18', { ...detection, head: 'faster-rcnn' }],
  'mask-rcnn': ['imagenet-resnet18', { name: 'instance-segmentation', head: 'mask-rcnn', width: 256 }],
};

/** Objects side by side, each with its box as its mask. */
function placedObjects() {
  return Array.from({ length: objects }, (_, index) => {
    const box = [8 + 32 * index, 10 + 4 * index, 8 + 32 * index + 28, 10 + 4 * index + 40];
    const mask = () => {
      const pixels = new Uint8Array(height * width);
      for (let y = box[1]; y < box[3]; y += 1) pixels.fill(1, y * width + box[0], y * width + box[2]);
      return pixels;
    };
    return { category: index % classes, box, isCrowd: false, mask };
  });
}

function ownStep(name) {
  const [architecture, settings] = cases[name];
  const names = Array.from({ length: classes }, (_, index) => `class ${index}`);
  const task = createTask(taskSchema.parse(settings), names);
  const network = createNetwork(architecture, { classes: 2, channels: 3, generator: new Generator(1) });
  const model = task.createModel(network, new Generator(1)).toMemoryFormat('channelsLast').train();
  const images = ops
    .randn([batch, 3, height, width], { generator: new Generator(2) })
    .contiguous({ memoryFormat: 'channelsLast' });
  const labels = Tensor.fromTypedArray(
    BigInt64Array.from({ length: batch * height * width }, (_, index) => BigInt((index * 7) % classes)),
    [batch, height, width],
  );
  const targets = { labels, objects: Array.from({ length: batch }, placedObjects) };
  const step = () => {
    const total = scope(() => {
      const parts = Object.values(task.loss(model, model.call(images), targets));
      return ops.stack(parts, 0).sum();
    });
    backward(total);
    total.dispose();
    model.zeroGrad();
  };
  return { step, parameters: model.parameterCount() };
}

function startReference(name) {
  const script = fileURLToPath(new URL('reference/detectors.py', import.meta.url));
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  const child = spawn(python, ['-W', 'ignore', script, name, batch, height, width].map(String), {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => JSON.parse((await lines.next()).value);
  return {
    answer,
    run: async (count) => {
      child.stdin.write(`run ${count}\n`);
      return (await answer()).seconds;
    },
    quit: () => child.stdin.end('quit\n'),
  };
}

const median = (values) => values.toSorted((left, right) => left - right)[values.length >> 1];

setThreads(1);
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(cases);
console.log(
  `batch ${batch} of ${height}x${width}, one thread, user's processor time per image; medians of ${turns} turns of ${steps} steps`,
);
console.log('model         Cohort       torchvision  ratio (least to greatest)  load');
for (const name of names) {
  const reference = startReference(name);
  const own = ownStep(name);
  const { parameters } = await reference.answer();
  if (parameters !== own.parameters)
    throw new Error(`${name}: ${own.parameters} parameters here, ${parameters} there`);
  own.step();
  await reference.run(1);
  const times = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const before = process.cpuUsage();
    for (let count = 0; count < steps; count += 1) own.step();
    const ours = process.cpuUsage(before).user / 1e6;
    times.push([ours, await reference.run(steps)].map((seconds) => (1000 * seconds) / (steps * batch)));
  }
  reference.quit();
  const ratios = times.map(([ours, theirs]) => ours / theirs);
  const [ours, theirs] = [0, 1].map((side) => median(times.map((pair) => pair[side])));
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  console.log(
    `${name.padEnd(12)}  ${ours.toFixed(0).padStart(6)} ms    ${theirs.toFixed(0).padStart(6)} ms    ${median(ratios).toFixed(2)} (${range})  ${loadavg()[0].toFixed(1)}`,
  );
}

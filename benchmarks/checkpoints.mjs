/** `node benchmarks/checkpoints.mjs [SECONDS]`: how long checkpoints hold up training: two ResNet-32 under MCL, batch 128, 32x32x3. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { BackgroundFiles } from '@cohort-ml/runs';
import { Generator, optim, ops } from '@cohort-ml/torch';
import { createMethod, createNetwork, resolveRecipe } from 'cohort-ml';
import { takeSnapshot } from '../packages/cohort/dist/checkpoints/snapshot.js';
import { trainStep } from '../packages/cohort/dist/train/loop/step.js';

const seconds = Number(process.argv[2] ?? 60);
const generator = new Generator(1);
const networks = [1, 2].map(() => createNetwork('resnet32', { classes: 100, channels: 3, generator }));
const recipe = resolveRecipe(
  {
    name: 'checkpoints',
    data: { dataset: 'cifar100' },
    networks: [{ model: 'resnet32' }, { model: 'resnet32' }],
    method: { name: 'mcl' },
    train: { epochs: 1 },
  },
  { source: 'benchmark' },
);
const method = createMethod(recipe.method, { networks, classes: 100, generator });
const modules = [
  ['network-1', networks[0]],
  ['network-2', networks[1]],
  ['method-heads', method.modules.heads],
];
const optimizer = new optim.SGD(
  modules.flatMap(([, module]) => module.parameters()),
  { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.0005 },
);
const images = ops.randn([128, 3, 32, 32], { generator });
const labels = ops.randint(0, 100, [128], { dtype: 'int64' });
const step = () => {
  const startedAt = performance.now();
  trainStep({ method, optimizer, precision: 'float32' }, { images, labels, epoch: 0 }, '');
  return performance.now() - startedAt;
};
const folder = mkdtempSync(join(tmpdir(), 'cohort-checkpoints-'));
const files = new BackgroundFiles();
const median = (values) =>
  [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;

for (let warm = 0; warm < 5; warm += 1) step();
const [alone, beside, stalls] = [[], [], []];
const end = performance.now() + seconds * 1000;
for (let round = 0; performance.now() < end; round += 1) {
  for (let count = 0; count < 4; count += 1) alone.push(step());
  const startedAt = performance.now();
  const snapshot = takeSnapshot({ modules, optimizers: [['optimizer', optimizer]], generator });
  const target = mkdtempSync(join(folder, 'checkpoint-'));
  const writing = files.write(target, snapshot, { name: 'checkpoint.json', value: {} });
  stalls.push(performance.now() - startedAt);
  let isWriting = true;
  writing.finally(() => (isWriting = false));
  for (let count = 0; isWriting || count < 1; count += 1) {
    beside.push(step());
    await setImmediate();
  }
  await writing;
  rmSync(target, { recursive: true });
}
await files.close();
rmSync(folder, { recursive: true });
const slower = beside.reduce((sum, ms) => sum + ms - median(alone), 0) / stalls.length;
console.log(
  `step ${median(alone).toFixed(1)} ms alone, ${median(beside).toFixed(1)} ms while a checkpoint is written; snapshot ${median(stalls).toFixed(1)} ms; ${stalls.length} checkpoints`,
);
console.log(
  `at one checkpoint a minute: ${(((median(stalls) + Math.max(0, slower)) / 60_000) * 100).toFixed(2)}% of the time`,
);

/** Our side of the benchmark: one MCL training step, answering the same commands on stdin as reference/mcl_step.py. */
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { engineInfo, Generator, ops, optim, seedDefaultGenerator } from '@cohort/torch';
import { createMethod, createNetwork, resolveRecipe, trainStep } from 'cohort';

const option = (name, fallback) => {
  const index = process.argv.indexOf(`--${name}`);
  return index < 0 ? fallback : Number(process.argv[index + 1]);
};
const batch = option('batch', 128);
const classes = 100;

function makeStep() {
  seedDefaultGenerator(0);
  const generator = new Generator(0);
  const images = ops.randn([batch, 3, 32, 32], { generator }).contiguous({ memoryFormat: 'channelsLast' });
  const labels = ops.randint(classes, [batch], { generator, dtype: 'int64' });
  const networks = [0, 1].map((seed) =>
    createNetwork('resnet32', { classes, channels: 3, generator: new Generator(seed) }).toMemoryFormat(
      'channelsLast',
    ),
  );
  // The published settings, with whatever else has a default.
  const { method: settings } = resolveRecipe(
    {
      name: 'benchmark',
      data: { dataset: 'fashion-mnist' },
      networks: [{ model: 'resnet32' }, { model: 'resnet32' }],
      method: { name: 'mcl' },
      train: { epochs: 1 },
    },
    { source: 'the benchmark' },
  );
  const method = createMethod(settings, { networks, classes, generator });
  const modules = [...networks, ...Object.values(method.modules)];
  const optimizer = new optim.SGD(
    modules.flatMap((module) => module.parameters()),
    { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  );
  const tools = { method, optimizer, precision: 'float32' };
  return () => trainStep(tools, { images, labels, epoch: 0 }, 'in the benchmark').total;
}

function peakResidentBytes() {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

const step = makeStep();
const { version, threads, cpuCapability } = engineInfo();
const answer = (value) => console.log(JSON.stringify(value));
answer({ libtorch: version, threads, capability: cpuCapability });
for await (const line of createInterface({ input: process.stdin })) {
  const [command, count] = line.trim().split(/\s+/);
  if (command === 'quit') break;
  if (command === 'memory') answer({ peakResidentBytes: peakResidentBytes() });
  if (command === 'step') {
    const ms = [];
    let loss = NaN;
    for (let index = 0; index < Number(count); index += 1) {
      const begin = performance.now();
      loss = step();
      ms.push(performance.now() - begin);
    }
    answer({ ms, loss });
  }
}

/**
 * Times the fused kernels alone, forward and backward, against ATen's operators for the same work: batch normalisation with ReLU,
 * with and without the addition of a shortcut, at the sizes of ResNet-32 (batch 128). Both are first checked against each other
 * and then run in turn. `node benchmarks/kernels.mjs [--json] [--bfloat16]`
 */
import { cpus } from 'node:os';
import { engineInfo, Generator, grad, ops, scope, setThreads } from '@cohort-ml/torch';

const rounds = 40;
const warmups = 5;
const isJson = process.argv.includes('--json');
const dtype = process.argv.includes('--bfloat16') ? 'bfloat16' : 'float32';
const say = (text) => (isJson ? console.error(text) : console.log(text));
const quantile = (values, share) =>
  [...values].sort((left, right) => left - right)[Math.round((values.length - 1) * share)];

function inputs(shape, memoryFormat) {
  const generator = new Generator(1);
  const maps = () => ops.randn(shape, { generator }).to(dtype).contiguous({ memoryFormat });
  const vector = (value) => ops.full([shape[1]], value);
  const given = { x: maps(), residual: maps(), weight: vector(1.5), bias: vector(0.5) };
  for (const leaf of Object.values(given)) leaf.requiresGrad = true;
  return { ...given, gradient: maps(), mean: vector(0.5), variance: vector(1.5) };
}

const forms = {
  'norm, relu': {
    fused: (g) => ops.batchNormRelu(g.x, g.weight, g.bias, g.mean, g.variance, true, 0.1, 1e-5),
    aten: (g) => ops.batchNorm(g.x, g.weight, g.bias, g.mean, g.variance, true, 0.1, 1e-5, false).relu_(),
    leaves: (g) => [g.x, g.weight, g.bias],
  },
  'norm, add, relu': {
    fused: (g) =>
      ops.batchNormAddRelu(g.x, g.residual, g.weight, g.bias, g.mean, g.variance, true, 0.1, 1e-5),
    aten: (g) =>
      ops
        .batchNorm(g.x, g.weight, g.bias, g.mean, g.variance, true, 0.1, 1e-5, false)
        .add_(g.residual)
        .relu_(),
    leaves: (g) => [g.x, g.residual, g.weight, g.bias],
  },
};

/** Milliseconds of forward and of backward. */
function timed(form, leaves, given) {
  return scope(() => {
    const begin = performance.now();
    const y = form(given);
    const middle = performance.now();
    grad(y, leaves(given), { gradients: [given.gradient] });
    return { forward: middle - begin, backward: performance.now() - middle };
  });
}

function assertAgreement(name, { fused, aten }, given) {
  scope(() => {
    const [ours, theirs] = [fused(given), aten(given)];
    const difference = ours.sub(theirs).abs().max().item() / theirs.abs().max().item();
    if (!(difference < (dtype === 'float32' ? 1e-4 : 2e-2)))
      throw new Error(`${name}: the two differ by ${difference}`);
  });
}

const { version, kernels } = engineInfo();
if (kernels === 'aten') throw new Error('COHORT_KERNELS=aten: there is nothing to compare');
say(
  `Fused batch normalisation, ${dtype}, kernels ${kernels}. ${cpus()[0]?.model.trim()}, LibTorch ${version}, ${new Date().toISOString()}; medians of ${rounds}, milliseconds`,
);
const results = [];
for (const threads of [1, 2]) {
  setThreads(threads);
  for (const memoryFormat of ['channelsLast', 'contiguous']) {
    for (const shape of [
      [128, 16, 32, 32],
      [128, 32, 16, 16],
      [128, 64, 8, 8],
    ]) {
      for (const [name, form] of Object.entries(forms)) {
        const given = inputs(shape, memoryFormat);
        assertAgreement(name, form, given);
        const times = { fused: [], aten: [] };
        for (let round = -warmups; round < rounds; round += 1) {
          for (const kind of ['fused', 'aten']) {
            const ms = timed(form[kind], form.leaves, given);
            if (round >= 0) times[kind].push(ms);
          }
        }
        const median = (kind, part) => quantile(times[kind].map((ms) => ms[part]), 0.5); // prettier-ignore
        const row = {
          threads, memoryFormat, shape, form: name,
          forwardMs: median('fused', 'forward'), atenForwardMs: median('aten', 'forward'),
          backwardMs: median('fused', 'backward'), atenBackwardMs: median('aten', 'backward'),
        }; // prettier-ignore
        results.push(row);
        const pair = (ours, theirs) =>
          `${ours.toFixed(2).padStart(6)} to ${theirs.toFixed(2).padStart(6)} (${(ours / theirs).toFixed(2)})`;
        say(
          `${threads} thread${threads > 1 ? 's' : ' '} ${memoryFormat.padEnd(13)}${shape.join('x').padEnd(15)}${name.padEnd(16)} forward ${pair(row.forwardMs, row.atenForwardMs)}  backward ${pair(row.backwardMs, row.atenBackwardMs)}`,
        );
      }
    }
  }
}
if (isJson)
  console.log(JSON.stringify({ date: new Date().toISOString(), cpu: cpus()[0]?.model.trim(), results }));

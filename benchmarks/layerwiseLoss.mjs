/**
 * Times the layer-wise loss alone, forward and backward: ours, which computes every pair of stages once from shared products,
 * against a plain loop over ordered pairs of networks and all pairs of stages, as the sums are published. Both are first
 * checked against each other and then run in turn on the same engine. `node benchmarks/layerwiseLoss.mjs [--json]`
 */
import { cpus } from 'node:os';
import { backward, engineInfo, Generator, ops, scope } from '@cohort-ml/torch';
import { layerwiseContrast } from 'cohort-ml';

const networks = 2;
const stages = 3;
const width = 128;
const rounds = 30;
const warmups = 5;
const options = { temperature: 0.1, distillationTemperature: 3 };

function inputs(batch, classes) {
  const generator = new Generator(1);
  const embeddings = Array.from({ length: networks }, () =>
    Array.from({ length: stages }, () => {
      const raw = ops.randn([batch, width], { generator });
      const unit = raw.div(raw.norm(2, [1], true));
      unit.requiresGrad = true;
      return unit;
    }),
  );
  const raw = ops.rand([batch, networks * stages, networks * stages], { generator });
  return {
    embeddings,
    labels: ops.randint(classes, [batch], { generator, dtype: 'int64' }),
    weights: raw.add(raw.transpose(1, 2)).div(2),
  };
}

/** The published loop: every ordered pair of networks, every pair of stages, both of its directions. */
function plainLoop({ embeddings, labels, weights }) {
  const { temperature, distillationTemperature: T } = options;
  const batch = labels.shape[0];
  const notSelf = ops.eye(batch).neg().add(1);
  const positive = labels.unsqueeze(0).eq(labels.unsqueeze(1)).to('float32').mul(notSelf);
  const count = positive.sum([1]);
  const hasPositive = count.gt(0).to('float32');
  const anchors = hasPositive.sum().clampMin(1);
  const contrast = (similarity, weight) => {
    const logProbability = similarity.sub(similarity.exp().mul(notSelf).sum([1], true).log());
    const mean = positive.mul(logProbability).sum([1]).div(count.clampMin(1));
    return mean.mul(weight).sum().neg().div(anchors);
  };
  const divergence = (student, teacher, weight) => {
    const target = teacher.detach().div(T).logSoftmax(1);
    const predicted = student.div(T).logSoftmax(1);
    return target
      .exp()
      .mul(target.sub(predicted))
      .sum([1])
      .mul(weight)
      .sum()
      .mul((T * T) / batch);
  };
  let total = ops.zeros([]);
  for (let i = 0; i < networks; i += 1) {
    for (let j = 0; j < networks; j += 1) {
      if (i === j) continue;
      for (let k = 0; k < stages; k += 1) {
        for (let z = 0; z < stages; z += 1) {
          const [a, b] = [embeddings[i][k], embeddings[j][z]];
          const weight = weights.select(1, i * stages + k).select(1, j * stages + z);
          const [ab, ba] = [a.matmul(b.t()).div(temperature), b.matmul(a.t()).div(temperature)];
          const [aa, bb] = [a.matmul(a.t()).div(temperature), b.matmul(b.t()).div(temperature)];
          for (const term of [
            contrast(ab, weight),
            contrast(ba, weight),
            contrast(aa, weight),
            contrast(bb, weight),
            divergence(ab, ba, weight),
            divergence(ba, ab, weight),
            divergence(aa, bb, weight),
            divergence(bb, aa, weight),
          ]) {
            total = total.add(term);
          }
        }
      }
    }
  }
  return total;
}

function shared({ embeddings, labels, weights }) {
  const { vcl, icl, softVcl, softIcl } = layerwiseContrast(embeddings, labels, weights, options);
  return vcl.add(icl).add(softVcl).add(softIcl);
}

function timed(loss, given) {
  const begin = performance.now();
  const value = scope(() => loss(given));
  backward(value);
  const ms = performance.now() - begin;
  const result = value.item();
  value.dispose();
  for (const stage of given.embeddings.flat()) stage.grad = null;
  return { ms, result };
}

const median = (values) => [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)];

const isJson = process.argv.includes('--json');
const say = (text) => (isJson ? console.error(text) : console.log(text));
const { version, threads } = engineInfo();
say(
  `Layer-wise loss, ${networks} networks x ${stages} stages, width ${width}, float32, forward and backward. ${cpus()[0]?.model.trim()}, ${threads} threads, LibTorch ${version}, ${new Date().toISOString()}`,
);
const results = [];
for (const [batch, classes] of [
  [64, 10],
  [128, 100],
  [256, 100],
  [512, 100],
]) {
  const given = inputs(batch, classes);
  const times = { shared: [], loop: [] };
  const [ours, plain] = [timed(shared, given).result, timed(plainLoop, given).result];
  if (Math.abs(ours / plain - 1) > 1e-4) throw new Error(`the two losses differ: ${ours} and ${plain}`);
  for (let round = -warmups; round < rounds; round += 1) {
    const pair = { shared: timed(shared, given).ms, loop: timed(plainLoop, given).ms };
    if (round < 0) continue;
    for (const [name, ms] of Object.entries(pair)) times[name].push(ms);
  }
  const row = { batch, sharedMs: median(times.shared), loopMs: median(times.loop) };
  results.push({ ...row, ratio: row.sharedMs / row.loopMs });
  say(
    `batch ${String(batch).padStart(4)}: ours ${row.sharedMs.toFixed(2)} ms, plain loop ${row.loopMs.toFixed(2)} ms, ratio ${(row.sharedMs / row.loopMs).toFixed(3)}`,
  );
}
if (isJson) console.log(JSON.stringify({ date: new Date().toISOString(), threads, results }));

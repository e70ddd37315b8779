/** `node benchmarks/folding.mjs [MODEL] [BATCH]`: a network's forward pass in evaluation, alternating with and without batch normalisation folded into convolutions. */
import { autocast, engineInfo, Generator, nn, noGrad, ops, scope } from '@cohort-ml/torch';
import { createNetwork } from 'cohort-ml';

const model = process.argv[2] ?? 'resnet32';
const batch = Number(process.argv[3] ?? 128);
const make = () =>
  createNetwork(model, { classes: 100, channels: 3, generator: new Generator(1) })
    .toMemoryFormat('channelsLast')
    .eval();
const [plain, folded] = [make(), make()];
nn.foldBatchNorm(folded);
const images = ops
  .randn([batch, 3, 32, 32], { generator: new Generator(2) })
  .contiguous({ memoryFormat: 'channelsLast' });
const run = (network) => {
  noGrad(() => {
    scope(() => {
      network.call(images).logits.sum().item();
    });
  });
};
const forms = {
  'float32, not folded': () => run(plain),
  'float32, folded': () => run(folded),
  'bfloat16, not folded': () => autocast(() => run(plain)),
  'bfloat16, folded': () => autocast(() => run(folded)),
};
const times = Object.fromEntries(Object.keys(forms).map((name) => [name, []]));
for (let turn = 0; turn <= 5; turn += 1) {
  for (const [name, form] of Object.entries(forms)) {
    for (let repeat = 0; repeat < 3; repeat += 1) {
      const begin = performance.now();
      form();
      // The first turn warms up.
      if (turn > 0) times[name].push(performance.now() - begin);
    }
  }
}
const { kernels, threads } = engineInfo();
console.log(`${model}, batch ${batch}, kernels ${kernels}, ${threads} threads`);
for (const [name, values] of Object.entries(times)) {
  const median = values.sort((left, right) => left - right)[values.length >> 1];
  console.log(`${name.padEnd(22)}${median.toFixed(1)} ms  ${Math.round((batch / median) * 1000)} images/s`);
}

/** Trains a tiny network for 2,000 steps and prints what memory held before and after: anything that grows is a leak. */
import { Generator, liveTensorCount, memoryStatistics, nn, ops, optim, scope, tensor } from '../index.ts';

const generator = new Generator(1);
const network = new nn.Sequential(
  new nn.Conv2d(3, 4, 3, generator, { padding: 1, bias: false }),
  new nn.BatchNorm2d(4),
  new nn.ReLU(),
  new nn.GlobalAvgPool2d(),
  new nn.Linear(4, 2, generator),
);
const optimizer = new optim.SGD(network.parameters(), {
  learningRate: 0.05,
  momentum: 0.9,
  nesterov: true,
  weightDecay: 1e-4,
});
const images = ops.randn([8, 3, 6, 6], { generator });
const labels = tensor([0, 1, 0, 1, 0, 1, 0, 1], 'int64');

function step(): number {
  return scope(() => {
    const loss = ops.crossEntropyLoss(network.call(images), labels);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.item();
  });
}

function train(steps: number): { live: number; used: number; resident: number; loss: number } {
  let loss = NaN;
  for (let i = 0; i < steps; i += 1) loss = step();
  globalThis.gc?.();
  const { usedBytes } = memoryStatistics();
  return { live: liveTensorCount(), used: usedBytes, resident: process.memoryUsage().rss, loss };
}

// The first steps fill caches: LibTorch's, oneDNN's and those of V8, whose compiler is busy for some thousand steps.
const before = train(2000);
const after = train(2000);
console.log(JSON.stringify({ before, after }));

/** What a worker thread of `threadsProgram` does: compute, fail on purpose, or call operators until it is ended. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  backward,
  Generator,
  liveTensorCount,
  nn,
  ops,
  optim,
  scope,
  Tensor,
  tensor,
  TorchError,
} from '../index.ts';

/** Loss after a few steps; the same in every thread. */
export function trainALittle(): number {
  const generator = new Generator(4);
  const layer = new nn.Conv2d(2, 3, 3, generator);
  const norm = new nn.BatchNorm2d(3);
  const optimizer = new optim.AdamW([...layer.parameters(), ...norm.parameters()], { learningRate: 0.01 });
  const images = ops.randn([4, 2, 8, 8], { generator });
  let last = NaN;
  for (let step = 0; step < 10; step += 1) {
    last = scope(() => {
      const loss = norm.call(layer.call(images)).relu().square().mean();
      optimizer.zeroGrad();
      backward(loss);
      optimizer.step();
      return loss.item();
    });
  }
  return last;
}

function messageOf(body: () => unknown): string {
  try {
    body();
    return 'nothing was thrown';
  } catch (error) {
    return error instanceof TorchError ? `${error.name} ${error.message}` : String(error);
  }
}

if (parentPort !== null) {
  switch (workerData) {
    case 'train':
      parentPort.postMessage({ loss: trainALittle(), before: liveTensorCount() });
      break;
    case 'fail': {
      const released = tensor([1]);
      released.dispose();
      parentPort.postMessage([
        messageOf(() => ops.matmul(ops.ones([2, 3]), ops.ones([2, 3]))),
        messageOf(() => ops.cat([])),
        messageOf(() => released.add(1)),
      ]);
      break;
    }
    default: {
      // Ended from outside, in the middle of a call: with live tensors, graphs, shared arrays and generators.
      const kept: unknown[] = [new Generator(1)];
      const weight = ops.randn([64, 64]);
      weight.requiresGrad = true;
      parentPort.postMessage('started');
      for (let i = 0; ; i += 1) {
        const x = Tensor.wrapTypedArray(new Float32Array(64 * 64).fill(0.01), [64, 64]);
        const y = x.matmul(weight).relu();
        if (i % 3 === 0) backward(y.sum());
        if (i % 50 === 0) kept.push(x, y);
      }
    }
  }
}

/**
 * Trains a small network for a few steps on the processor and on the device that its argument names, and says how far apart
 * they are; on `meta`, which has no numbers, whether the shapes agree.
 */
import {
  backward,
  currentDevice,
  deviceMemory,
  Generator,
  nn,
  ops,
  optim,
  scope,
  synchronize,
  Tensor,
  tensor,
  TorchError,
  useDevice,
} from '../index.ts';

const wanted = process.argv[2] ?? 'meta';

interface Trained {
  readonly names: readonly string[];
  readonly shapes: readonly string[];
  readonly devices: readonly string[];
  readonly values: readonly (readonly number[])[];
}

function train(device: string): Trained {
  useDevice(device);
  const hasNumbers = device !== 'meta';
  const generator = new Generator(1);
  const convolution = new nn.Conv2d(3, 16, 3, generator, { padding: 1, bias: false });
  const norm = new nn.BatchNorm2d(16);
  const linear = new nn.Linear(16, 5, generator);
  const modules = [convolution, norm, linear];
  for (const module of modules) module.toMemoryFormat('channelsLast');
  const optimizer = new optim.SGD(
    modules.flatMap((module) => module.parameters()),
    { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
  );
  for (let step = 0; step < 3; step += 1) {
    const loss = scope(() => {
      const images = ops.randn([4, 3, 8, 8], { generator }).contiguous({ memoryFormat: 'channelsLast' });
      const labels = tensor([0, 1, 2, 3], 'int64');
      // LibTorch has batch normalisation for `meta` in Python only.
      const convolved = convolution.call(images);
      const maps = hasNumbers ? norm.forwardRelu(convolved) : convolved.tanh();
      return ops.crossEntropyLoss(linear.call(maps.mean([2, 3])), labels);
    });
    backward(loss);
    loss.dispose();
    // Nor has LibTorch 1.13 the operators of optimizers there.
    if (hasNumbers) optimizer.step();
    optimizer.zeroGrad();
  }
  synchronize();
  const tensors = modules.flatMap((module) => [...module.stateDict()]);
  return {
    names: tensors.map(([name]) => name),
    shapes: tensors.map(([, each]: readonly [string, Tensor]) => each.shape.join('x')),
    devices: tensors.map(([, each]) => each.device),
    values: hasNumbers ? tensors.map(([, each]) => each.to({ device: 'cpu' }).toNumbers()) : [],
  };
}

try {
  const onProcessor = train('cpu');
  const onDevice = train(wanted);
  const differences = onDevice.values.flatMap((values, index) =>
    values.map((value, at) => Math.abs(value - (onProcessor.values[index]?.[at] ?? NaN))),
  );
  console.log(
    JSON.stringify({
      device: currentDevice(),
      devices: [...new Set(onDevice.devices)],
      sameShapes: onDevice.shapes.join() === onProcessor.shapes.join(),
      largestDifference: differences.length === 0 ? null : Math.max(...differences),
      memory: deviceMemory(),
    }),
  );
} catch (error) {
  if (!(error instanceof TorchError)) throw error;
  console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
  process.exitCode = 1;
}

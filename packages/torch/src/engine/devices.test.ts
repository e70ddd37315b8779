/** Devices: names, typed errors, and shapes on `meta`, which stands in for a graphics card where there is none. */
import { afterEach, describe, expect, test } from 'vitest';
import { ChildEngine } from '../testing/childEngine.ts';
import {
  cudaDevices,
  currentDevice,
  DeviceError,
  engineInfo,
  Generator,
  nn,
  ops,
  resolveDevice,
  scope,
  synchronize,
  Tensor,
  tensor,
  useDevice,
  withDevice,
} from '../index.ts';

afterEach(() => {
  useDevice('cpu');
});

describe('the name of a device', () => {
  test.each(['gpu', 'cuda:', 'cuda:x', 'cuda:-1', ''])("'%s' is refused", (name) => {
    expect(() => useDevice(name)).toThrow(DeviceError);
    expect(() => useDevice(name)).toThrow(`expected auto, cpu, cuda or cuda:N, got '${name}'.`);
    expect(currentDevice()).toBe('cpu');
  });

  test('auto is the first graphics card, or the processor', () => {
    expect(resolveDevice('auto')).toBe(cudaDevices().length > 0 ? 'cuda:0' : 'cpu');
    expect(resolveDevice('cpu')).toBe('cpu');
  });

  test('a card that is not there is refused in words', () => {
    const count = cudaDevices().length;
    const wanted = `cuda:${count}`;
    const expected = !engineInfo().cuda
      ? 'this LibTorch was built without CUDA. Set train.device to cpu, or run set-up with LIBTORCH naming one with CUDA.'
      : count === 0
        ? 'no graphics card was found. Check that nvidia-smi lists one'
        : 'Choose one of these.';
    expect(() => useDevice(wanted)).toThrow(DeviceError);
    expect(() => useDevice(wanted)).toThrow(expected);
    expect(currentDevice()).toBe('cpu');
  });
});

describe('new tensors', () => {
  test('are made on the chosen device, unless told otherwise', () => {
    useDevice('meta');
    const made = {
      zeros: ops.zeros([2, 3]),
      arange: ops.arange(5),
      ofArray: Tensor.fromTypedArray(new Float32Array(6), [2, 3]),
      wrapped: Tensor.wrapTypedArray(new Float32Array(6), [3, 2]),
      ofLists: tensor([[1, 2]]),
      like: ops.zeros([4]).onesLike(),
      random: ops.randn([2, 3], { generator: new Generator(1) }),
    };
    expect(Object.entries(made).map(([name, { device }]) => `${name} ${device}`)).toEqual(
      Object.keys(made).map((name) => `${name} meta`),
    );
    expect(made.ofArray.shape).toEqual([2, 3]);
    expect(made.random.shape).toEqual([2, 3]);
    expect(ops.zeros([2], { device: 'cpu' }).device).toBe('cpu');
  });

  test('in a body only, also when it throws', () => {
    expect(withDevice('meta', () => ops.ones([1]).device)).toBe('meta');
    expect(() =>
      withDevice('meta', () => {
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(ops.ones([1]).device).toBe('cpu');
    synchronize();
  });

  test('random numbers drawn in place keep device and shape', () => {
    useDevice('meta');
    const x = ops.empty([3, 2]);
    const same = x.uniform_(0, 1, { generator: new Generator(3) });
    expect(same.device).toBe('meta');
    expect(same.shape).toEqual([3, 2]);
  });
});

test('a network runs and is differentiated on another device', async () => {
  const engine = new ChildEngine();
  try {
    const { stdout, stderr } = await engine.run('deviceProgram', ['meta']);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ device: 'meta', devices: ['meta'], sameShapes: true });
  } finally {
    engine.dispose();
  }
});

test.runIf(cudaDevices().length > 0)('a graphics card computes what the processor does', async () => {
  const engine = new ChildEngine();
  try {
    const { stdout, stderr } = await engine.run('deviceProgram', ['cuda']);
    expect(stderr).toBe('');
    const report = JSON.parse(stdout) as { device: string; devices: string[]; largestDifference: number };
    expect(report).toMatchObject({ device: 'cuda:0', devices: ['cuda:0'], sameShapes: true });
    expect(report.largestDifference).toBeLessThan(1e-4);
  } finally {
    engine.dispose();
  }
});

test('a module moves between devices with its buffers', () => {
  scope(() => {
    const norm = new nn.BatchNorm2d(4);
    norm.toDevice('cpu');
    expect(norm.runningMean.device).toBe('cpu');
    expect(norm.runningMean.toNumbers()).toEqual([0, 0, 0, 0]);
  });
});

import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { DisposedError, InputError } from '../errors.ts';
import { loadModel } from '../model.ts';
import { OnnxWriter, randomValues } from '../test/onnxWriter.ts';
import { quantise, quantisedLayer } from '../test/quantised.ts';
import { bestKernels, kernelBinaries, type KernelName } from '../wasm/kernels.ts';
import { startThreadedKernels } from './pool.ts';
import { withSharedMemory } from './sharedMemory.ts';
import { splitCall } from './split.ts';
import { control, valuesPerCall, workerSource } from './workerSource.ts';

const padded = { pads: [1, 1, 1, 1] };

/** Float32 layers of every kind that is divided, with sizes that no number of threads divides evenly. */
function floatFile(): Uint8Array {
  const w = new OnnxWriter([3, 61, 45]);
  const weights = (shape: number[], seed: number): string =>
    w.constant(
      randomValues(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
      shape,
    );
  const scaled = w.node('Mul', ['x', weights([1, 3, 1, 1], 1)]);
  const stem = w.node('Relu', [w.node('Conv', [scaled, weights([32, 3, 3, 3], 2)], padded)]);
  const square = w.node('Conv', [stem, weights([32, 32, 3, 3], 3)], padded);
  const residual = w.node('Relu', [w.node('Add', [square, stem])]);
  const wide = w.node('Conv', [residual, weights([72, 32, 1, 1], 4)]);
  const depthwise = w.node('Conv', [wide, weights([72, 1, 3, 3], 5)], { ...padded, group: 72 });
  const pooled = w.node('MaxPool', [depthwise], { kernel_shape: [3, 3], strides: [2, 2], ...padded });
  const strided = w.node('Conv', [pooled, weights([40, 72, 3, 3], 6)], { ...padded, strides: [2, 2] });
  const side = w.node('Sigmoid', [w.node('GlobalAveragePool', [strided])]);
  return w.file([w.node('Mul', [strided, side])]);
}

/** The same in int8. */
function integerFile(): Uint8Array {
  const w = new OnnxWriter([3, 61, 45]);
  const input = quantise(w, 'x', -1, 1);
  const layer = (from: string, weights: number[], attributes: object, seed: number): string =>
    quantise(
      w,
      quantisedLayer(w, from, { weights, attributes: { ...attributes }, inputScale: 2 / 255, seed }),
      -1,
      1,
    );
  const stem = layer(input, [32, 3, 3, 3], padded, 1);
  const square = layer(stem, [32, 32, 3, 3], padded, 2);
  const sum = quantise(w, w.node('Relu', [w.node('Add', [square, stem])]), -1, 1);
  const depthwise = layer(sum, [32, 1, 3, 3], { ...padded, group: 32 }, 3);
  const wide = layer(depthwise, [72, 32, 1, 1], {}, 4);
  return w.file([layer(wide, [40, 72, 3, 3], { ...padded, strides: [2, 2] }, 5)]);
}

describe('threads', () => {
  const shape = [2, 3, 61, 45];
  const data = randomValues(2 * 3 * 61 * 45, 7);

  it.each([
    ['float32', floatFile()],
    ['int8', integerFile()],
  ])('give the same bits as one thread in %s, run after run', async (_, file) => {
    using alone = await loadModel(file);
    const expected = Object.values(alone.run(data, shape))[0]?.data;
    for (const threads of [2, 3]) {
      using model = await loadModel(file, { threads });
      expect(model.threads).toBe(threads);
      for (let run = 0; run < 3; run++) {
        expect(Object.values(model.run(data, shape))[0]?.data).toEqual(expected);
      }
    }
  });

  it('end with the model', async () => {
    const model = await loadModel(floatFile(), { threads: 2 });
    model.dispose();
    expect(() => model.run(data, shape)).toThrow(DisposedError);
    expect(model.threads).toBe(1);
  });

  it('are done without where the kernels are given', async () => {
    const kernels = await WebAssembly.compile(bestKernels());
    using model = await loadModel(floatFile(), { threads: 4, kernels });
    expect(model.threads).toBe(1);
  });

  it('are done without where memory cannot be shared', async () => {
    const shared = globalThis.SharedArrayBuffer;
    try {
      Reflect.deleteProperty(globalThis, 'SharedArrayBuffer');
      using model = await loadModel(floatFile(), { threads: 2 });
      expect(model.threads).toBe(1);
      expect(Object.keys(model.run(data, shape))).toHaveLength(1);
    } finally {
      globalThis.SharedArrayBuffer = shared;
    }
  });

  it('are done without where they do not start', async () => {
    const damaged = bestKernels().slice(0, 1000);
    expect(await startThreadedKernels(damaged, 2)).toBeNull();
  });

  it.each([0, 1.5, NaN, 1000])('of a number such as %s are refused', async (threads) => {
    await expect(loadModel(floatFile(), { threads })).rejects.toThrow(InputError);
  });
});

describe('a worker', () => {
  /** Imports a shared memory, and exports `add`, which adds 1 to its first 32 bits. */
  const counting = Uint8Array.from([
    ...[
      0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x02, 0x10, 0x01,
      0x03,
    ],
    ...[
      0x65, 0x6e, 0x76, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x03, 0x01, 0x01, 0x03, 0x02, 0x01,
      0x00,
    ],
    ...[
      0x07, 0x07, 0x01, 0x03, 0x61, 0x64, 0x64, 0x00, 0x00, 0x0a, 0x11, 0x01, 0x0f, 0x00, 0x41, 0x00, 0x41,
      0x00,
    ],
    ...[0x28, 0x02, 0x00, 0x41, 0x01, 0x6a, 0x36, 0x02, 0x00, 0x0b],
  ]);

  it('computes a turn once, though it is woken for it again', async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const state = new Int32Array(new SharedArrayBuffer(4 * (control.turns + 1)));
    const values = new Float64Array(new SharedArrayBuffer(8 * valuesPerCall));
    const worker = new Worker(workerSource, { eval: true });
    try {
      const ready = once(worker, 'message');
      const module = await WebAssembly.compile(counting);
      worker.postMessage({ module, memory, state, values, names: ['add'], index: 0 });
      await ready;
      /** Wakes the worker once it sleeps. */
      const wake = async (): Promise<void> => {
        while (Atomics.notify(state, control.turn) === 0) await setTimeout(1);
      };
      for (const turn of [1, 2, 3]) {
        state[control.turns] = turn;
        Atomics.store(state, control.pending, 1);
        Atomics.store(state, control.turn, turn);
        await wake();
        await wake();
        await wake();
        expect(Atomics.load(state, control.pending)).toBe(0);
        expect(new Int32Array(memory.buffer)[0]).toBe(turn);
      }
    } finally {
      await worker.terminate();
    }
  });
});

describe('withSharedMemory', () => {
  it('makes valid modules of both binaries that import nothing but a shared memory', async () => {
    for (const kernels of Object.values(kernelBinaries())) {
      if (!WebAssembly.validate(kernels)) continue;
      const { binary, memory } = withSharedMemory(kernels);
      const module = await WebAssembly.compile(binary);
      expect(WebAssembly.Module.imports(module)).toMatchObject([{ module: 'env', name: 'memory' }]);
      expect(memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
  });
});

describe('splitCall', () => {
  /** A 1x1 convolution of 64 by 64 blocks: input 1000, output 2000, residual 3000. */
  const call = (height: number, width: number): number[] => [
    ...[1000, 16 * width, 5000, 64, 2000, 16 * width, 5000, 64, height, width],
    ...[100, 1, 1, 1, 1, 200, 3000, 16 * width, 5000, 0, 6],
  ];
  const parts = (name: KernelName, values: number[], threads: number): unknown =>
    splitCall(name, values, threads, 1).map((part) => [part[0], part[4], part[8], part[9], part[16]]);

  it('divides rows, and the one row of joined pixels by fours', () => {
    expect(parts('convolveFloat', call(5, 10), 2)).toEqual([
      [1000, 2000, 2, 10, 3000],
      [1000 + 320, 2000 + 320, 3, 10, 3000 + 320],
    ]);
    expect(parts('convolveFloat', call(1, 10), 2)).toEqual([
      [1000, 2000, 1, 4, 3000],
      [1064, 2064, 1, 6, 3064],
    ]);
  });

  it('leaves small calls, and those that cannot be divided, as they are', () => {
    const values = call(5, 10);
    expect(splitCall('convolveFloat', values, 2, 1e9)).toEqual([values]);
    expect(splitCall('copyBlocks', values, 2, 1)).toEqual([values]);
  });
});

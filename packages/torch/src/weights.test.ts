/** Tensors through safetensors files: every dtype bit for bit, a whole network, and files that do not fit. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  Generator,
  loadTensors,
  nn,
  ops,
  safetensors,
  SafetensorsError,
  saveTensors,
  tensor,
  Tensor,
  type DType,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'cohort-weights-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const file = (name: string): string => join(folder, `${name}.safetensors`);

const dtypes: DType[] = [
  'uint8',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'float32',
  'float64',
  'bool',
  'bfloat16',
];

describe('saveTensors and loadTensors', () => {
  test('keep every dtype, shape and value', () => {
    const tensors = new Map<string, Tensor>(dtypes.map((dtype) => [dtype, tensor([[1, 0, 1], [0, 1, 1]], dtype)])); // prettier-ignore
    tensors.set('scalar', tensor(5, 'int64'));
    tensors.set('empty', ops.zeros([0, 3]));
    tensors.set('turned', tensor([[1, 2, 3], [4, 5, 6]]).t()); // prettier-ignore
    saveTensors(file('all'), tensors, { note: 'ä' });
    const loaded = loadTensors(file('all'));
    expect(loaded.metadata).toEqual({ note: 'ä' });
    expect(new Set(loaded.tensors.keys())).toEqual(new Set(tensors.keys()));
    for (const [name, before] of tensors) {
      const after = loaded.tensors.get(name);
      expect(after?.dtype).toBe(before.dtype);
      expect(after?.shape).toEqual(before.shape);
      expect(after?.toTypedArray()).toEqual(before.toTypedArray());
    }
  });

  test('loaded tensors can be computed with and changed', () => {
    saveTensors(file('change'), [['x', tensor([1, 2])]]);
    const x = loadTensors(file('change')).tensors.get('x');
    expect(
      x
        ?.add_(1)
        .mul(tensor([2, 2]))
        .toNumbers(),
    ).toEqual([4, 6]);
    expect(loadTensors(file('change')).tensors.get('x')?.toNumbers()).toEqual([1, 2]);
  });

  test('bring a network back, in channels-last too', () => {
    const make = (seed: number): nn.Sequential =>
      new nn.Sequential(
        new nn.Conv2d(3, 4, 3, new Generator(seed)),
        new nn.BatchNorm2d(4),
        new nn.GlobalAvgPool2d(),
      );
    const first = make(1).toMemoryFormat('channelsLast');
    const x = ops.randn([2, 3, 5, 5], { generator: new Generator(9) });
    first.call(x);
    saveTensors(file('network'), first.stateDict());
    const second = make(2);
    second.loadStateDict(loadTensors(file('network')).tensors);
    for (const [name, value] of first.stateDict())
      expect(second.stateDict().get(name)?.toTypedArray()).toEqual(value.toTypedArray());
    expect(ops.allclose(second.eval().call(x), first.eval().call(x), 1e-4, 1e-6)).toBe(true);
  });

  test('refuse what LibTorch has no type for, and damaged files', () => {
    safetensors.writeSafetensorsFile(
      file('wide'),
      [['x', { dtype: 'U32', shape: [1], data: new Uint8Array(4) }]],
      {},
    );
    expect(() => loadTensors(file('wide'))).toThrow(
      /^loadTensors: 'x' in .* is U32, which LibTorch does not have/,
    );
    safetensors.writeSafetensorsFile(
      file('flags'),
      [['x', { dtype: 'BOOL', shape: [1], data: new Uint8Array([7]) }]],
      {},
    );
    expect(() => loadTensors(file('flags'))).toThrow(/dtype 'bool' takes the bytes 0 and 1 only/);
    writeFileSync(file('damaged'), 'nonsense');
    expect(() => loadTensors(file('damaged'))).toThrow(SafetensorsError);
    expect(() => loadTensors(file('missing'))).toThrow(SafetensorsError);
    expect(() => {
      saveTensors(file('complex'), [['x', ops.complex(tensor([1]), tensor([1]))]]);
    }).toThrow(/no name here/);
  });
});

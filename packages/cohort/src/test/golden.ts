/** Test help: golden files, and the rule by which golden models and images are filled (fixtures/README.md). */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadTensors, noGrad, Tensor, type nn } from '@cohort-ml/torch';
import { expect } from 'vitest';

/** Path of a file in `packages/cohort/fixtures`. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
}

/** A JSON fixture. */
export function readJson(name: string): unknown {
  return JSON.parse(readFileSync(fixturePath(name), 'utf8'));
}

/** A golden file: tensors by name, and the numbers in its metadata. */
export class Golden {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly #metadata: Readonly<Record<string, string>>;

  constructor(name: string) {
    const file = loadTensors(fixturePath(name));
    this.tensors = file.tensors;
    this.#metadata = file.metadata;
  }

  tensor(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw new Error(`the golden file has no '${name}'`);
    return tensor;
  }

  setting(name: string): number {
    return Number(this.#metadata[name]);
  }
}

/** Expects `actual` to agree with `expected` within a relative and an absolute tolerance, element by element. */
export function expectClose(
  actual: Tensor,
  expected: Tensor | readonly number[],
  relative = 1e-4,
  absolute = 1e-5,
): void {
  const want = expected instanceof Tensor ? expected.toNumbers() : expected;
  if (expected instanceof Tensor) expect(actual.shape).toEqual(expected.shape);
  const got = actual.toNumbers();
  expect(got).toHaveLength(want.length);
  let worst = 0;
  for (const [index, value] of want.entries()) {
    const excess = Math.abs((got[index] ?? NaN) - value) / (absolute + relative * Math.abs(value));
    worst = Number.isNaN(excess) ? Infinity : Math.max(worst, excess);
  }
  expect(worst, 'largest error in units of the tolerance').toBeLessThanOrEqual(1);
}

function hash(value: number): number {
  let mixed = value >>> 0;
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  return mixed >>> 0;
}

/** `u(seed, k)` for k from 0: numbers in [-1, 1). */
export function uniformSequence(seed: number, length: number): Float64Array {
  const offset = Math.imul(seed, 0x9e3779b1);
  const values = new Float64Array(length);
  for (let k = 0; k < length; k += 1) values[k] = ((hash((k + offset) | 0) >>> 8) / 2 ** 24) * 2 - 1;
  return values;
}

/** Images `1.5 u(seed, k)` of a shape. */
export function goldenImages(seed: number, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return Tensor.fromTypedArray(
    Float32Array.from(uniformSequence(seed, length), (u) => 1.5 * Math.fround(u)),
    shape,
  );
}

/** What the factors and offsets of the rule are in float32, in which it is computed. */
const [tenth, fifth, sevenTenths] = [Math.fround(0.1), Math.fround(0.2), Math.fround(0.7)];

/**
 * How a tensor's values follow from u, by its name and shape. The rule works in float32: factor, product and sum are
 * each rounded.
 */
function fillRule(name: string, shape: readonly number[]): (u: number) => number {
  if (name.endsWith('running_mean')) return (u) => Math.fround(tenth * u);
  if (name.endsWith('running_var')) return (u) => Math.fround(1 + Math.fround(fifth * u));
  if (shape.length >= 2) {
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    const factor = Math.fround(Math.sqrt(6 / fanIn));
    return (u) => Math.fround(u * factor);
  }
  return name.endsWith('bias')
    ? (u) => Math.fround(tenth * u)
    : (u) => Math.fround(sevenTenths + Math.fround(fifth * u));
}

/** Fills tensors by the golden rule; the i-th one takes `fillSeed + i`. */
export function fillTensors(tensors: Iterable<readonly [string, Tensor]>, fillSeed: number): void {
  let seed = fillSeed;
  noGrad(() => {
    for (const [name, target] of tensors) {
      if (name.endsWith('num_batches_tracked')) {
        target.zero_();
        continue;
      }
      const { shape } = target;
      const values = new Float32Array(uniformSequence(seed, target.numel));
      const source = Tensor.fromTypedArray(values.map(fillRule(name, shape)), shape);
      target.copy_(source);
      source.dispose();
      seed += 1;
    }
  });
}

/** Fills a module in order of registration. */
export function fillModule(module: nn.AnyModule, fillSeed: number): void {
  fillTensors(module.namedTensors(), fillSeed);
}

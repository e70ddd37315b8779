/**
 * Calls every public operator with random arguments. Nothing may end the process, and whatever is thrown must be typed.
 *
 * Parameters: seed, calls of every schema, and a file that always holds the last call, for whoever looks for a crash.
 * Left out are `from_file`, which makes files, and the polynomials of `special`, whose run time is linear in a degree
 * that may be 2^45.
 */
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { camelCase } from '../dispatch.ts';
import { Generator, liveTensorCount, ops, scope, Tensor, TorchError, type DType } from '../index.ts';
import { native } from '../native.ts';

const [seed = '1', callsPerSchema = '1', logPath] = process.argv.slice(2);

/** Mulberry32: small, seeded, good enough to pick arguments. */
let state = Number(seed);
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let bits = Math.imul(state ^ (state >>> 15), 1 | state);
  bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
}
const below = (count: number): number => Math.floor(random() * count);
function pick<Item>(items: readonly [Item, ...Item[]]): Item {
  return items[below(items.length)] ?? items[0];
}

const shapes: readonly [number[], ...number[][]] = [
  [], [0], [1], [2], [3], [4], [2, 3], [3, 3], [3, 2], [4, 4], [0, 3], [2, 2, 2], [2, 3, 4],
  [1, 2, 4, 4], [2, 3, 4, 4], [2, 2, 3, 3], [1, 1, 2, 4, 4], [2, 0, 4, 4],
]; // prettier-ignore
const dtypes: readonly [DType, ...DType[]] = [
  'float32', 'float32', 'float32', 'float32', 'float64', 'int64', 'int64', 'bool', 'int32', 'uint8', 'bfloat16', 'float16',
]; // prettier-ignore
const texts: readonly [string, ...string[]] = [
  'mean', 'none', 'sum', 'floor', 'trunc', 'ij,jk->ik', 'linear', 'left', 'right', 'reflect', 'constant', 'same',
  'valid', 'fro', 'nuc', 'reduced', 'complete', 'tanh', 'prod', 'amax', 'nonsense', '',
]; // prettier-ignore
const generator = new Generator(1);

/** Most arguments of one call agree in shape and dtype, or nothing would get past LibTorch's first check. */
let common: { shape: number[] | null; dtype: DType | null } = { shape: null, dtype: null };

function randomTensor(): Tensor {
  const shape = common.shape !== null && random() < 0.75 ? common.shape : pick(shapes);
  const dtype = common.dtype !== null && random() < 0.85 ? common.dtype : pick(dtypes);
  const kind = random();
  const value = (): number => {
    if (kind < 0.5) return random() * 4 - 2;
    return kind < 0.9 ? below(4) : pick([NaN, Infinity, -1e30, -5, 100, 0]);
  };
  const count = shape.reduce((product, size) => product * size, 1);
  const x = Tensor.fromTypedArray(Float64Array.from({ length: count }, value), shape).to(dtype);
  if (random() < 0.15 && dtype.includes('float')) x.requiresGrad = true;
  else if (random() < 0.1 && shape.length >= 2) return x.transpose(0, 1);
  return x;
}

/** Small ones mostly; the large ones are so large that what they ask for is refused instead of being made at length. */
function randomInteger(): number | bigint {
  if (random() < 0.95) return below(7) - 2;
  return pick<number | bigint>([-100, 100, 2 ** 45, -(2 ** 45), 2n ** 62n, -(2n ** 62n)]);
}

function randomFloat(): number {
  return random() < 0.8 ? random() * 4 - 1 : pick([0, 1, -1, NaN, Infinity, 1e300, 1e-300]);
}

function randomValue(type: string): unknown {
  if (type.endsWith('?')) return random() < 0.4 ? null : randomValue(type.slice(0, -1));
  const [, item, size] = /^(.*)\[(\d*)\]$/.exec(type) ?? [];
  if (item !== undefined)
    return Array.from({ length: size ? Number(size) : below(4) }, () => randomValue(item));
  switch (type) {
    case 'Tensor':
      return randomTensor();
    case 'Scalar':
      return random() < 0.4 ? randomFloat() : randomInteger();
    case 'int':
    case 'SymInt':
      return randomInteger();
    case 'float':
      return randomFloat();
    case 'bool':
      return random() < 0.5;
    case 'str':
      return pick(texts);
    case 'ScalarType':
      return pick(dtypes);
    case 'MemoryFormat':
      return pick(['contiguous', 'preserve', 'channelsLast']);
    case 'Layout':
      return pick(['strided', 'sparse', 'mkldnn']);
    case 'Device':
      return pick(['cpu', 'cpu', 'cpu', 'cuda', 'meta']);
    case 'Generator':
      return generator;
    default:
      return undefined;
  }
}

interface Schema {
  readonly text: string;
  readonly operator: string;
  readonly parameters: readonly { name: string; type: string; isKeywordOnly: boolean; isOptional: boolean }[];
}

const schemas: Schema[] = native
  .listSchemas()
  .split('\n')
  .map((line) => line.split('\t'))
  .filter(([text = '']) => /^(aten|cohort)::(?!from_file|special_\w*polynomial)/.test(text))
  .map(([text = '', parameters = '']) => ({
    text: text.slice(0, text.indexOf('(')),
    operator: camelCase(/^(?:aten|cohort)::(\w+)/.exec(text)?.[1] ?? ''),
    parameters: parameters
      .split('\x1e')
      .filter(Boolean)
      .map((parameter) => {
        const [name = '', type = '', place, presence] = parameter.split('\x1f');
        return { name: camelCase(name), type, isKeywordOnly: place === 'k', isOptional: presence === 'd' };
      }),
  }));

/** Reads a result and differentiates through it: that must not crash either. */
function use(result: unknown): void {
  for (const x of [result].flat(2)) {
    if (!(x instanceof Tensor)) continue;
    try {
      String(x);
      if (x.requiresGrad) x.sum().backward();
      if (x.numel < 1e6) x.toTypedArray();
    } catch (error) {
      if (!(error instanceof TorchError)) throw error;
    }
  }
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (value instanceof Tensor || typeof value !== 'object' || value === null) return String(value);
  return `{ ${Object.entries(value)
    .map(([name, item]) => `${name}: ${show(item)}`)
    .join(', ')} }`;
}

const log = logPath === undefined ? null : openSync(logPath, 'w');
function record(text: string): void {
  if (log === null) return;
  ftruncateSync(log, 0);
  writeSync(log, text, 0);
}

const functions: object = ops;
const counts = { succeeded: 0, refused: 0 };
const untyped: string[] = [];

function callOnce({ text, operator, parameters }: Schema): void {
  const call: unknown = Reflect.get(functions, operator);
  if (typeof call !== 'function') throw new Error(`there is no operator ${operator}`);
  common = { shape: random() < 0.7 ? pick(shapes) : null, dtype: random() < 0.7 ? pick(dtypes) : null };
  const positional: unknown[] = [];
  const keywords: Record<string, unknown> = {};
  for (const { name, type, isKeywordOnly, isOptional } of parameters) {
    const value = isOptional && random() < 0.5 ? undefined : randomValue(type);
    if (isKeywordOnly) keywords[name] = value;
    else positional.push(value);
  }
  record(`${text}(${[...positional, keywords].map(show).join(', ')})`);
  try {
    use(Reflect.apply(call, undefined, [...positional, keywords]));
    counts.succeeded += 1;
  } catch (error) {
    if (error instanceof TorchError) counts.refused += 1;
    else untyped.push(`${operator}: ${String(error)}`);
  }
}

for (const schema of schemas) {
  for (let i = 0; i < Number(callsPerSchema); i += 1) {
    scope(() => {
      callOnce(schema);
    });
  }
}
console.log(JSON.stringify({ ...counts, untyped, live: liveTensorCount() }));

/** A graph made ready for one input shape: kernel calls in order, and memory that is used again and again. */
import { ModelFileError, UnsupportedOperatorError } from '../errors.ts';
import type { Graph } from '../onnx/model.ts';
import type { Kernels } from '../wasm/kernels.ts';
import { Lowering } from './lowering.ts';
import type { Step } from './step.ts';
import type { Operators } from './operators/index.ts';
import { Tensor } from './tensor.ts';
import type { Memory, WeightStore } from './weights.ts';

/** One output of a plan. */
export interface PlanOutput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly tensor: Tensor;
}

/** Ready to run on one image. */
export interface Plan {
  readonly input: Tensor;
  readonly outputs: readonly PlanOutput[];
  /** Bytes for values between the operators. */
  readonly bytes: number;
  readonly steps: readonly { readonly name: string; readonly run: () => void }[];
}

/**
 * @param shape of the input, with a batch of one
 * @param operators those of the graph, and perhaps others
 */
export function planGraph(
  graph: Graph,
  shape: readonly number[],
  kernels: Kernels,
  weights: WeightStore,
  memory: Memory,
  operators: Operators,
): Plan {
  const lowering = new Lowering(graph, kernels, weights);
  const input = new Tensor(shape, null, 'plain');
  lowering.defineTensor(graph.input.name, input);
  for (const node of graph.nodes) {
    if (lowering.isDone(node)) continue;
    const lower = operators.get(node.operator);
    if (lower === undefined) throw new UnsupportedOperatorError(node.operator);
    lower(node, lowering);
  }
  const outputs = graph.outputs.map(({ name }): PlanOutput => {
    const value = lowering.value(name);
    return { name, shape: value.shape, tensor: lowering.layouts.plain(value) };
  });
  if (outputs.length === 0) throw new ModelFileError('The model has no output. Copy or export it again.');
  const bytes = placeTensors(
    lowering.steps,
    [input],
    outputs.map(({ tensor }) => tensor),
    memory,
  );
  const steps = lowering.steps.map((step) => ({ name: step.name, run: bindStep(step, kernels) }));
  return { input, outputs, bytes, steps };
}

function bindStep(step: Step, kernels: Kernels): () => void {
  const run = step.bind();
  const bordered = step.writes.filter((tensor) => tensor.hasBorder);
  if (bordered.length === 0) return run;
  const calls = bordered.map(({ origin, row, plane, blocks, height, width, border }) => [
    ...[origin, row, plane, blocks, height, width, border.top, border.left, border.bottom, border.right],
  ]);
  return () => {
    for (const call of calls) kernels.clearBorder(...call);
    run();
  };
}

interface Lifetime {
  readonly tensor: Tensor;
  readonly bytes: number;
  readonly first: number;
  last: number;
}

/** Gives every tensor an address that nothing else uses while it lives; the largest first. Returns all bytes. */
function placeTensors(
  steps: readonly Step[],
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  memory: Memory,
): number {
  const lifetimes = new Map<Tensor, Lifetime>();
  const touch = (tensor: Tensor, step: number): void => {
    if (tensor.isConstant) return;
    const known = lifetimes.get(tensor);
    if (known) known.last = step;
    else lifetimes.set(tensor, { tensor, bytes: roundUp(tensor.bytes), first: step, last: step });
  };
  for (const tensor of inputs) touch(tensor, -1);
  for (const [index, step] of steps.entries()) {
    for (const tensor of [...step.reads, ...step.writes]) touch(tensor, index);
  }
  for (const tensor of outputs) touch(tensor, steps.length);

  const placed: { lifetime: Lifetime; at: number }[] = [];
  let total = 0;
  for (const lifetime of [...lifetimes.values()].sort((a, b) => b.bytes - a.bytes)) {
    const others = placed
      .filter(({ lifetime: other }) => other.first <= lifetime.last && lifetime.first <= other.last)
      .sort((a, b) => a.at - b.at);
    let at = 0;
    for (const other of others) {
      if (at + lifetime.bytes <= other.at) break;
      at = Math.max(at, other.at + other.lifetime.bytes);
    }
    placed.push({ lifetime, at });
    total = Math.max(total, at + lifetime.bytes);
  }
  const base = memory.reserve(total);
  for (const { lifetime, at } of placed) lifetime.tensor.address = base + at;
  return total;
}

/** Whole cache lines, with one to spare for kernels that read a little past the end. */
function roundUp(bytes: number): number {
  return Math.ceil(bytes / 64) * 64 + 64;
}

/** Values of a shape, for messages. */
export function shapeText(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

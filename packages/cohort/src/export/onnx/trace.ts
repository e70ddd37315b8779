/**
 * Turns what networks compute into a graph: one forward pass is run, and every operator that the engine is asked for on the
 * way is written down. Nothing needs to be known of architectures, and what is traced is what evaluation runs.
 */
import { noGrad, observeOperators, scope, Tensor, type OperatorCall } from '@cohort-ml/torch';
import { ExportError } from '../errors.ts';
import { GraphBuilder, type Graph } from './graph.ts';
import { isView, translate } from './operators.ts';
import { TracedCall, type TracedValue } from './tracedCall.ts';

/** A result of the function that is traced: `[B, ...]`. */
export interface TracedOutput {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Images that the pass is run on; with more than one, a batch that is taken for a fixed size does not go unnoticed. */
const tracedBatch = 2;

/** What several tensor objects stand for: aliases share it, so that a change in place is seen by all. */
interface Slot {
  value: TracedValue;
  /** Tensors that share memory without being the same values: one of them must not be changed in place. */
  memory: { views: number };
}

/**
 * Traces a function of images.
 *
 * @param input name and shape `[C, H, W]` of the images that `body` gets, `[2, C, H, W]`
 * @param body must compute by operators alone: values that it reads out of tensors become constants of the graph
 * @throws {ExportError} for an operator that has no translation, named
 */
export function traceGraph(
  input: { readonly name: string; readonly shape: readonly [number, number, number] },
  body: (images: Tensor) => readonly TracedOutput[],
): Graph {
  const tracer = new Tracer();
  return noGrad(() =>
    scope(() => {
      const size = input.shape.reduce((product, side) => product * side, tracedBatch);
      const values = Float32Array.from({ length: size }, (_, index) => (index * 37) % 256);
      const images = Tensor.wrapTypedArray(values, [tracedBatch, ...input.shape]);
      tracer.begin(images, input.name);
      const outputs = observeOperators(
        (call) => {
          tracer.record(call);
        },
        () => body(images),
      );
      return tracer.finish(input, outputs);
    }),
  );
}

class Tracer {
  readonly #builder = new GraphBuilder();
  readonly #slots = new Map<unknown, Slot>();

  begin(images: Tensor, name: string): void {
    this.#slots.set(images, newSlot({ name, batchAxis: 0 }));
  }

  record(call: OperatorCall): void {
    const { name, inputs, result } = call;
    if (name === 'alias') {
      const slot = this.#slots.get(inputs[0]);
      if (slot !== undefined) this.#slots.set(result, slot);
      return;
    }
    // What is computed from weights alone is a constant, read where it meets the images.
    if (!this.#dependsOnImages(inputs)) return;
    const isInPlace = name.endsWith('_');
    const operator = isInPlace ? name.slice(0, -1) : name;
    const traced = new TracedCall(call, this.#builder, (tensor) => this.#slots.get(tensor)?.value);
    const value = translate(operator, traced);
    if (isSeveral(value)) {
      const results = Array.isArray(result) ? result : [];
      for (const [index, each] of value.entries()) this.#slots.set(results[index], newSlot(each));
      return;
    }
    const source = this.#slots.get(inputs[0]);
    if (isInPlace && source !== undefined) this.#change(operator, source, value);
    else if (isView(operator) && source !== undefined) this.#see(source, result, value);
    else this.#slots.set(result, newSlot(value));
  }

  finish(
    input: { readonly name: string; readonly shape: readonly number[] },
    outputs: readonly TracedOutput[],
  ): Graph {
    const found = outputs.map(({ name, tensor }) => {
      const value = this.#slots.get(tensor)?.value;
      if (value === undefined) {
        throw new ExportError(
          `The output ${name} does not depend on the images. This is a bug in the method's ensemble or in Cohort's export; please report it.`,
        );
      }
      return { name, value: value.name, shape: tensor.shape.slice(1) };
    });
    return this.#builder.finish(input, found);
  }

  #dependsOnImages(inputs: OperatorCall['inputs']): boolean {
    return inputs.some(
      (value) =>
        this.#slots.has(value) || (Array.isArray(value) && value.some((item) => this.#slots.has(item))),
    );
  }

  /** A change in place gives the tensor, and all its aliases, a new value. */
  #change(operator: string, slot: Slot, value: TracedValue): void {
    if (slot.memory.views > 0) {
      throw new ExportError(
        `The network changes a tensor in place (${operator}_) whose memory another one shares, which a graph cannot say. Use ${operator} in the network instead.`,
      );
    }
    slot.value = value;
  }

  /** A view shares its source's memory. */
  #see(source: Slot, result: unknown, value: TracedValue): void {
    if (this.#slots.has(result)) return;
    source.memory.views += 1;
    this.#slots.set(result, { value, memory: source.memory });
  }
}

function isSeveral(value: TracedValue | readonly TracedValue[]): value is readonly TracedValue[] {
  return Array.isArray(value);
}

function newSlot(value: TracedValue): Slot {
  return { value, memory: { views: 0 } };
}

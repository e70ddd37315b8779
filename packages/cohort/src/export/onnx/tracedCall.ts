/** One call of the engine's during a trace: its arguments as values of the graph and as plain numbers. */
import { Tensor, type OperatorCall } from '@cohort-ml/torch';
import { ExportError } from '../errors.ts';
import type { Attribute, GraphBuilder, OperatorType } from './graph.ts';

/** A value of the graph that a tensor stands for. */
export interface TracedValue {
  readonly name: string;
  /** Which dimension is the batch; others have a fixed size. */
  readonly batchAxis: number;
}

/** Reads the arguments of a call, and adds nodes for it. */
export class TracedCall {
  readonly operator: string;
  readonly #inputs: OperatorCall['inputs'];
  readonly #result: OperatorCall['result'];
  readonly #builder: GraphBuilder;
  readonly #find: (tensor: unknown) => TracedValue | undefined;

  constructor(call: OperatorCall, builder: GraphBuilder, find: (tensor: unknown) => TracedValue | undefined) {
    this.operator = call.name;
    this.#inputs = call.inputs;
    this.#result = call.result;
    this.#builder = builder;
    this.#find = find;
  }

  /** How many arguments were given, an object of keywords included. */
  get count(): number {
    return this.#inputs.length;
  }

  /** Name of the value of a tensor argument; a tensor of weights and a number become constants. */
  value(position: number): string {
    const argument = this.#inputs[position];
    if (typeof argument === 'number') return this.#builder.scalar(argument);
    return this.#valueOf(argument, position);
  }

  /** Names of the values of a list of tensors. */
  values(position: number): string[] {
    const list = this.#inputs[position];
    if (!Array.isArray(list)) throw this.refusal(`argument ${position + 1} is not a list of tensors`);
    return list.map((item) => this.#valueOf(item, position));
  }

  #valueOf(argument: unknown, position: number): string {
    const traced = this.#find(argument);
    if (traced !== undefined) return traced.name;
    if (!(argument instanceof Tensor)) throw this.refusal(`argument ${position + 1} is not a tensor`);
    const wide = argument.to('float32');
    const data = Float32Array.from(wide.toNumbers());
    if (wide !== argument) wide.dispose();
    return this.#builder.constant({ type: 'float32', shape: argument.shape, data }, 'weight');
  }

  /** Which dimension of the first traced argument is the batch. */
  get batchAxis(): number {
    for (const argument of this.#inputs) {
      for (const item of Array.isArray(argument) ? argument : [argument]) {
        const traced = this.#find(item);
        if (traced !== undefined) return traced.batchAxis;
      }
    }
    return 0;
  }

  isNull(position: number): boolean {
    return this.#inputs[position] == null;
  }

  shape(position: number): readonly number[] {
    return this.#tensor(position).shape;
  }

  /** Of the first tensor in a list. */
  shapeInList(position: number): readonly number[] {
    const list = this.#inputs[position];
    const first: unknown = Array.isArray(list) ? list[0] : undefined;
    if (!(first instanceof Tensor)) throw this.refusal(`argument ${position + 1} is not a list of tensors`);
    return first.shape;
  }

  get resultShape(): readonly number[] {
    if (!(this.#result instanceof Tensor)) throw this.refusal('it gives something other than one tensor');
    return this.#result.shape;
  }

  #tensor(position: number): Tensor {
    const argument = this.#inputs[position];
    if (!(argument instanceof Tensor)) throw this.refusal(`argument ${position + 1} is not a tensor`);
    return argument;
  }

  number(position: number, otherwise?: number): number {
    const argument = this.#inputs[position] ?? otherwise;
    if (typeof argument !== 'number') throw this.refusal(`argument ${position + 1} is not a number`);
    return argument;
  }

  boolean(position: number, otherwise: boolean): boolean {
    const argument = this.#inputs[position] ?? otherwise;
    if (typeof argument !== 'boolean') throw this.refusal(`argument ${position + 1} is not true or false`);
    return argument;
  }

  /** A list of numbers; a single one stands for `length` equal ones. */
  numbers(position: number, length: number, otherwise?: number): number[] {
    const argument = this.#inputs[position] ?? otherwise;
    if (typeof argument === 'number') return Array.from({ length }, () => argument);
    if (!Array.isArray(argument)) throw this.refusal(`argument ${position + 1} is not a list of numbers`);
    return argument.map((item) => {
      if (typeof item !== 'number') throw this.refusal(`argument ${position + 1} is not a list of numbers`);
      return item;
    });
  }

  add(
    operator: OperatorType,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    return this.#builder.add(operator, inputs, attributes);
  }

  whole(values: readonly number[]): string {
    return this.#builder.whole(values);
  }

  scalar(value: number): string {
    return this.#builder.scalar(value);
  }

  /** A constant of float32. */
  matrix(data: Float32Array, shape: readonly number[]): string {
    return this.#builder.constant({ type: 'float32', shape, data });
  }

  /** A tensor of weights in another shape, as a constant. */
  reshaped(position: number, shape: readonly number[]): string {
    const wide = this.#tensor(position).to('float32');
    const data = Float32Array.from(wide.toNumbers());
    if (wide !== this.#inputs[position]) wide.dispose();
    return this.#builder.constant({ type: 'float32', shape, data }, 'weight');
  }

  /** The error for a form of the operator that has no translation. */
  refusal(reason: string): ExportError {
    return new ExportError(
      `The operator ${this.operator} cannot be exported: ${reason}. Export another network, or add it to export/onnx/operators.ts.`,
    );
  }
}

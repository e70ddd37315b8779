/** Base of every layer and network: finds parameters, buffers and children itself, in the order in which they were assigned. */
import { noGrad } from '../autograd.ts';
import type { MemoryFormat } from '../dtype.ts';
import { ArgumentError, TorchError } from '../errors.ts';
import { keep, scope } from '../scope.ts';
import { Tensor } from '../tensor.ts';
import type { FoldablePair } from './foldable.ts';
import { joinOutputs, Plans, type PlanOptions } from './plan.ts';

/** A tensor that an optimizer changes. Any other tensor that a module holds is a buffer: saved, but not trained. */
export class Parameter extends Tensor {
  readonly isParameter = true;

  /** Takes over `value`, which must not be used any more. */
  constructor(value: Tensor) {
    super(value.alias().detachHandle());
    value.dispose();
    keep(this);
    this.requiresGrad = true;
  }
}

/** A state dict does not fit its module; the message lists every missing, unexpected and misshapen tensor. */
export class StateDictError extends TorchError {
  override readonly name = 'StateDictError';
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misshapen: readonly string[];

  constructor(missing: readonly string[], unexpected: readonly string[], misshapen: readonly string[]) {
    const part = (title: string, names: readonly string[]): string =>
      names.length === 0
        ? ''
        : `\n  ${title} (${names.length}): ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', ...' : ''}`;
    super(
      'loadStateDict',
      `the tensors do not fit this module.${part('missing', missing)}${part('unexpected', unexpected)}${part('wrong shape', misshapen)}\nLoad weights that were saved from the same architecture, or pass { strict: false } to load what fits.`,
    );
    this.missing = missing;
    this.unexpected = unexpected;
    this.misshapen = misshapen;
  }
}

/** A network whose batch normalisations are folded was asked for what would leave its folded weights behind. */
export class FoldedModuleError extends TorchError {
  override readonly name = 'FoldedModuleError';
  override readonly isProgrammingError = true;

  constructor(operation: string, module: AnyModule) {
    super(
      operation,
      `batch normalisations of this ${module.constructor.name} are folded into convolutions, which keep weights of their own. Call unfoldBatchNorm(module) first.`,
    );
  }
}

/** Told of every module that has run, with what it gave. */
export type CallObserver = (module: AnyModule, output: unknown) => void;

let observer: CallObserver | null = null;

/** Runs `body` and tells `observe` of every module that `call` runs meanwhile, inner ones first. */
export function observeCalls<Result>(observe: CallObserver, body: () => Result): Result {
  const before = observer;
  observer = observe;
  try {
    return body();
  } finally {
    observer = before;
  }
}

/** Whether somebody wants to know what every module returns. */
export function isObserved(): boolean {
  return observer !== null;
}

/** For what a module computed without `call`, as part of another's operator. */
export function tellObserver(module: AnyModule, output: unknown): void {
  observer?.(module, output);
}

/**
 * A layer or network. Assign parameters, buffers, modules and arrays of these to properties (not to `#private` ones,
 * which nobody outside can see); their names in the state dict are the property names in snake_case, joined by dots.
 */
export abstract class Module<Input = Tensor, Output = Tensor> {
  /** Whether layers behave as in training (batch statistics) or as in evaluation (running statistics). */
  training = true;

  #plans: Plans<Output> | null = null;

  /** What the module computes. Call `call()`, which releases the intermediate tensors. */
  abstract forward(input: Input): Output;

  /** Runs `forward` in a scope of its own, which releases everything but the result. */
  call(input: Input): Output {
    return this.#call(input, 0);
  }

  /** @param more inputs like this one that are known to come */
  #call(input: Input, more: number): Output {
    if (this.#plans !== null && observer === null) {
      const planned = this.#plans.run(input, more);
      if (planned !== undefined) return planned;
    }
    const output = scope(() => this.forward(input));
    observer?.(this, output);
    return output;
  }

  /**
   * As `call` for every `rows` rows of the input by themselves, to the bit, whatever the other rows are: matrix products of a
   * whole batch round by its size. Tensors of the results are joined along their first dimension. A compiled module takes all
   * parts in one call of the engine, and small networks several at the same time.
   *
   * @param rows 1 unless given; the last part may have fewer
   * @throws {ArgumentError} for an input without rows, for `rows` that are no whole number of at least 1, and where results are
   *   objects of a class
   */
  callRows(input: Input & Tensor, rows = 1): Output {
    if (!Number.isInteger(rows) || rows < 1) {
      throw new ArgumentError('callRows', `expected rows to be a whole number of at least 1, got ${rows}.`);
    }
    const total = input.shape[0] ?? 0;
    if (total === 0) {
      throw new ArgumentError('callRows', `expected at least one row, got [${input.shape.join(', ')}].`);
    }
    return scope(() => {
      const outputs: Output[] = [];
      for (let row = 0; row < total;) {
        const left = total - row;
        const whole = left - (left % rows);
        // The first parts are what a plan is made from.
        const planned =
          observer === null && whole > 0
            ? this.#plans?.runParts(input.narrow(0, row, whole), rows)
            : undefined;
        const count = planned === undefined ? Math.min(rows, left) : whole;
        const more = Math.floor((left - count) / rows);
        outputs.push(planned ?? this.#call(input.narrow(0, row, count) as Input & Tensor, more));
        row += count;
      }
      return joinOutputs(outputs);
    });
  }

  /**
   * Convolutions of this module's own that nothing but a normalisation takes the output of: what `foldBatchNorm` may fold.
   * Empty unless a class says so; those of children are theirs to tell.
   */
  foldable(): readonly FoldablePair[] {
    return [];
  }

  /** Whether any normalisation in this module is folded. */
  get isFolded(): boolean {
    return this.#plans !== null || [...this.namedChildren()].some(([, child]) => child.isFolded);
  }

  /**
   * From now on, what `call` does for inputs of a shape that came before is one call of the engine: see `compile`, which
   * calls this.
   */
  plan(options?: PlanOptions): void {
    // Input is a tensor, or a plan is never asked for.
    this.#plans ??= new Plans((input) => this.forward(input as Input), options);
  }

  /** Forgets the plans. */
  unplan(): void {
    this.#plans?.dispose();
    this.#plans = null;
  }

  /** How many shapes of inputs `call` has a plan for. */
  get planCount(): number {
    return this.#plans?.count ?? 0;
  }

  #refuseFolded(operation: string): void {
    if (this.isFolded) throw new FoldedModuleError(operation, this);
  }

  /** Child modules with their names, in order of assignment. */
  *namedChildren(): Generator<[string, AnyModule]> {
    for (const [name, member] of this.#members()) {
      if (member instanceof Module) yield [name, member];
    }
  }

  /** Parameters and buffers with their full names, in order of registration. */
  *namedTensors(prefix = ''): Generator<[string, Tensor]> {
    for (const [name, member] of this.#members()) {
      if (member instanceof Tensor) yield [`${prefix}${name}`, member];
      else yield* member.namedTensors(`${prefix}${name}.`);
    }
  }

  /** Tensors and modules among the properties and in their arrays, with their names in the state dict. */
  *#members(): Generator<[string, Tensor | Module<never, unknown>]> {
    for (const [property, value] of Object.entries(this) as [string, unknown][]) {
      yield* this.#membersOf(this.memberName(property), value);
    }
  }

  *#membersOf(name: string, value: unknown): Generator<[string, Tensor | Module<never, unknown>]> {
    if (value instanceof Tensor || value instanceof Module) {
      yield [name, value];
    } else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) yield* this.#membersOf(this.itemName(name, index), item);
    }
  }

  /** Name of a property in the state dict: `runningMean` is `running_mean`; classes with published names override it. */
  protected memberName(property: string): string {
    return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }

  /** Name of the array item `index`; containers override it. */
  protected itemName(name: string, index: number): string {
    return `${name}.${index}`;
  }

  /** Parameters with their full names, in order of registration; one that is shared comes once, by its first name. */
  namedParameters(): [string, Parameter][] {
    const found = new Map<Parameter, string>();
    for (const [name, tensor] of this.namedTensors()) {
      if (tensor instanceof Parameter && !found.has(tensor)) found.set(tensor, name);
    }
    return Array.from(found, ([parameter, name]) => [name, parameter]);
  }

  /** Parameters in order of registration. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** Number of trainable elements. */
  parameterCount(): number {
    return this.parameters().reduce((total, parameter) => total + parameter.numel, 0);
  }

  /** Every parameter and buffer by name, in order of registration: the tensors themselves, not copies. */
  stateDict(): Map<string, Tensor> {
    return new Map(this.namedTensors());
  }

  /**
   * Copies `state` into this module's tensors, converting the dtype.
   *
   * @param options.strict refuse missing and unexpected names (default true); wrong shapes are always refused
   * @throws {StateDictError} before anything was changed; {@link FoldedModuleError} where normalisations are folded.
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>, options: { strict?: boolean } = {}): void {
    this.#refuseFolded('loadStateDict');
    const { strict = true } = options;
    const mine = this.stateDict();
    const missing = [...mine.keys()].filter((name) => !state.has(name));
    const unexpected = [...state.keys()].filter((name) => !mine.has(name));
    const misshapen = [...mine].flatMap(([name, target]) => {
      const shape = state.get(name)?.shape;
      return shape === undefined || shape.join() === target.shape.join()
        ? []
        : [`${name} [${shape.join(', ')}] instead of [${target.shape.join(', ')}]`];
    });
    if (misshapen.length > 0 || (strict && missing.length + unexpected.length > 0)) {
      throw new StateDictError(strict ? missing : [], strict ? unexpected : [], misshapen);
    }
    noGrad(() => {
      for (const [name, target] of mine) {
        const source = state.get(name);
        if (source !== undefined) target.copy_(source);
      }
    });
  }

  /** Switches this module and everything in it to training. @throws {FoldedModuleError} where normalisations are folded. */
  train(training = true): this {
    if (training) this.#refuseFolded('train');
    this.training = training;
    for (const [, child] of this.namedChildren()) child.train(training);
    return this;
  }

  /** Switches this module and everything in it to evaluation. */
  eval(): this {
    return this.train(false);
  }

  /** Moves every 4-D tensor (convolution weights) to a memory format; the fast one for images is `channelsLast`. */
  toMemoryFormat(memoryFormat: MemoryFormat): this {
    this.#refuseFolded('toMemoryFormat');
    this.#replaceData((tensor) => (tensor.shape.length === 4 ? tensor.contiguous({ memoryFormat }) : tensor));
    return this;
  }

  /** Converts every floating-point tensor to `dtype`, e.g. `float64` for a gradient check. */
  toDType(dtype: 'float32' | 'float64' | 'bfloat16'): this {
    this.#refuseFolded('toDType');
    this.#replaceData((tensor) => (tensor.dtype.includes('float') ? tensor.to(dtype) : tensor));
    return this;
  }

  /** Moves every parameter and buffer to a device, e.g. `cuda:0`; the optimizer is made afterwards. */
  toDevice(device: string): this {
    this.#refuseFolded('toDevice');
    this.#replaceData((tensor) => (tensor.device === device ? tensor : tensor.to({ device })));
    return this;
  }

  #replaceData(convert: (tensor: Tensor) => Tensor): void {
    noGrad(() => {
      scope(() => {
        for (const [, tensor] of this.namedTensors()) {
          const converted = convert(tensor);
          if (converted !== tensor) tensor.setData(converted);
        }
      });
    });
  }

  /** Clears the gradients, so that the next backward pass starts afresh. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null;
  }

  /** Releases every parameter and buffer. */
  dispose(): void {
    this.unplan();
    for (const [, member] of this.#members()) member.dispose();
  }
}

/** A module with any input and output. */
export type AnyModule = Module<never, unknown>;

/** What every optimizer has: parameters, a learning rate that schedules set, a step, and a state that can be saved. */
import { ArgumentError } from '../errors.ts';
import type { Parameter } from '../nn/module.ts';
import { keep, scope } from '../scope.ts';
import { ops, type Tensor } from '../tensor.ts';
import { noGrad } from '../autograd.ts';

/** Moments and counters of an optimizer, as a checkpoint stores them. */
export interface OptimizerState {
  /** Tensors by name and index of the parameter, e.g. `momentum.3`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Steps taken. */
  readonly steps: number;
}

/** The slot that counts a parameter's own updates: a 0-d tensor, unlike the moments, which have the parameter's shape. */
export const counterSlot = 'step';

/** Base of the optimizers; updates run over all parameters at once through LibTorch's foreach operators. */
export abstract class Optimizer {
  readonly parameters: readonly Parameter[];
  /** Step size; schedules set it before a step. */
  learningRate: number;
  protected steps = 0;
  /** One tensor per parameter under each name, made at its first gradient. */
  readonly #slots = new Map<string, Map<number, Tensor>>();

  protected constructor(
    operation: string,
    parameters: readonly Parameter[],
    learningRate: number,
    /** What the optimizer keeps for every parameter. */
    private readonly slotNames: readonly string[],
  ) {
    if (parameters.length === 0)
      throw new ArgumentError(operation, 'there are no parameters to optimize. Pass module.parameters().');
    const repeated = parameters.findIndex((parameter, index) => parameters.indexOf(parameter) !== index);
    if (repeated >= 0) {
      throw new ArgumentError(
        operation,
        `parameter ${repeated} (${String(parameters[repeated])}) was passed twice and would be changed twice per step. Pass each once: [...new Set(parameters)].`,
      );
    }
    requireFinite(operation, { learningRate });
    this.parameters = parameters;
    this.learningRate = learningRate;
  }

  /** Changes every parameter that has a gradient. @throws {ArgumentError} when `learningRate` was set to nonsense. */
  step(): void {
    requireFinite('Optimizer.step', { learningRate: this.learningRate });
    noGrad(() => {
      scope(() => {
        const indices: number[] = [];
        const gradients: Tensor[] = [];
        for (const [index, parameter] of this.parameters.entries()) {
          const gradient = parameter.grad;
          if (gradient === null) continue;
          indices.push(index);
          gradients.push(gradient);
        }
        if (indices.length === 0) return;
        this.steps += 1;
        const parameters = indices.map((index) => this.#parameter(index));
        this.update(parameters, gradients, indices);
      });
    });
  }

  /** Clears the gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = null;
  }

  /** Changes `parameters` in place; `gradients` and `indices` belong to them one by one. */
  protected abstract update(
    parameters: readonly Tensor[],
    gradients: readonly Tensor[],
    indices: readonly number[],
  ): void;

  /** The tensors kept under `name` for these parameters; made by `create` where there is none yet. */
  protected slot(
    name: string,
    indices: readonly number[],
    create: (parameter: Tensor, position: number) => Tensor,
  ): Tensor[] {
    let slot = this.#slots.get(name);
    if (slot === undefined) {
      slot = new Map();
      this.#slots.set(name, slot);
    }
    const tensors = slot;
    return indices.map((index, position) => {
      let tensor = tensors.get(index);
      if (tensor === undefined) {
        tensor = keep(create(this.#parameter(index), position));
        tensors.set(index, tensor);
      }
      return tensor;
    });
  }

  /** Whether every one of these parameters has a tensor under `name`. */
  protected hasSlot(name: string, index: number): boolean {
    return this.#slots.get(name)?.has(index) ?? false;
  }

  #parameter(index: number): Parameter {
    const parameter = this.parameters[index];
    if (parameter === undefined)
      throw new ArgumentError(
        'Optimizer',
        `there is no parameter ${index}; this optimizer has ${this.parameters.length}.`,
      );
    return parameter;
  }

  /** The state, for a checkpoint: the tensors themselves, not copies. */
  state(): OptimizerState {
    const tensors = new Map<string, Tensor>();
    for (const [name, slot] of this.#slots) {
      for (const [index, tensor] of slot) tensors.set(`${name}.${index}`, tensor);
    }
    return { tensors, steps: this.steps };
  }

  /** Puts a saved state back (copies). @throws {ArgumentError} for tensors that belong to no parameter, before any change. */
  loadState(state: OptimizerState): void {
    const entries = Array.from(state.tensors, ([key, value]) => {
      const [, name = '', index = ''] = /^(\w+)\.(\d+)$/.exec(key) ?? [];
      const shape = this.parameters[Number(index)]?.shape;
      const expected = name === counterSlot ? [] : shape;
      if (!this.slotNames.includes(name) || shape === undefined || expected?.join() !== value.shape.join()) {
        throw new ArgumentError(
          'Optimizer.loadState',
          `'${key}' with shape [${value.shape.join(', ')}] belongs to no parameter of this optimizer, which keeps ${this.slotNames.join(', ') || 'nothing'} for ${this.parameters.length} parameters. Load a checkpoint of the same cohort and optimizer.`,
        );
      }
      return { name, index: Number(index), value };
    });
    // Copied before the old state goes: the tensors to load may be those of this very optimizer.
    const copies = noGrad(() =>
      scope(() =>
        entries.map(({ name, index, value }) =>
          // Laid out like its parameter, as a state that was never saved would be.
          name === counterSlot ? value.clone() : ops.emptyLike(this.#parameter(index).detach()).copy_(value),
        ),
      ),
    );
    this.dispose();
    for (const [position, { name, index }] of entries.entries()) {
      this.slot(name, [index], () => copies[position] ?? ops.zeros([]));
    }
    this.steps = state.steps;
  }

  /** Releases the state; the parameters stay. */
  dispose(): void {
    for (const slot of this.#slots.values()) for (const tensor of slot.values()) tensor.dispose();
    this.#slots.clear();
  }
}

/** @throws {ArgumentError} when a setting is negative, infinite or not a number. */
export function requireFinite(operation: string, settings: Record<string, number>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!Number.isFinite(value) || value < 0) {
      throw new ArgumentError(operation, `${name} must be a finite number from 0, got ${value}.`);
    }
  }
}

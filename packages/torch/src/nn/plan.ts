/**
 * A module's work for inputs of one shape as a single call of the engine: what the module ran is noted once and repeated,
 * without scopes, handles and the matching of arguments in between, and with weights laid out once. For small inputs these
 * take longer than the arithmetic.
 */
import { buffer, reserveBuffer } from '../callBuffer.ts';
import { isObserved } from '../dispatch.ts';
import { ArgumentError } from '../errors.ts';
import { checked, native } from '../native.ts';
import { scope } from '../scope.ts';
import { ops, Tensor } from '../tensor.ts';

/** Shapes that a module has plans for; a program that varies them goes without. */
const mostPlans = 16;

/** A plan must give what the module gives, but for roundings. */
const tolerance = 1e-5;

/** What a module gives, with the places of its tensors. */
type Form =
  | { readonly kind: 'tensor'; readonly place: number }
  | { readonly kind: 'list'; readonly items: readonly Form[] }
  | { readonly kind: 'record'; readonly entries: readonly (readonly [string, Form])[] }
  | { readonly kind: 'value'; readonly value: unknown };

/** The form of an output, whose tensors are added to `tensors`; null for objects of a class, which cannot be made anew. */
function formOf(output: unknown, tensors: Tensor[]): Form | null {
  if (output instanceof Tensor) return { kind: 'tensor', place: tensors.push(output) - 1 };
  if (typeof output !== 'object' || output === null) return { kind: 'value', value: output };
  if (Array.isArray(output)) {
    const items = output.map((item) => formOf(item, tensors));
    return items.includes(null) ? null : { kind: 'list', items: items.filter((item) => item !== null) };
  }
  if (Object.getPrototypeOf(output) !== Object.prototype) return null;
  const entries: [string, Form][] = [];
  for (const [name, value] of Object.entries(output)) {
    const form = formOf(value, tensors);
    if (form === null) return null;
    entries.push([name, form]);
  }
  return { kind: 'record', entries };
}

function fill(form: Form, tensors: readonly Tensor[]): unknown {
  switch (form.kind) {
    case 'tensor':
      return tensors[form.place];
    case 'list':
      return form.items.map((item) => fill(item, tensors));
    case 'record':
      return Object.fromEntries(form.entries.map(([name, item]) => [name, fill(item, tensors)]));
    case 'value':
      return form.value;
  }
}

/**
 * Outputs for parts of a batch as one for the whole batch: tensors joined along their first dimension, all else as in the
 * first output.
 * @throws {ArgumentError} for objects of a class, which cannot be made anew
 */
export function joinOutputs<Output>(outputs: readonly Output[]): Output {
  const [first] = outputs;
  if (outputs.length === 1 && first !== undefined) return first;
  const parts = outputs.map((output) => {
    const tensors: Tensor[] = [];
    return { form: formOf(output, tensors), tensors };
  });
  const form = parts[0]?.form ?? null;
  if (form === null || parts.some(({ tensors }) => tensors.length !== parts[0]?.tensors.length)) {
    throw new ArgumentError(
      'callRows',
      'this module gives something other than tensors, plain records and lists of them. Call it for each row.',
    );
  }
  const joined = (parts[0]?.tensors ?? []).map((_, place) =>
    ops.cat(
      parts.flatMap(({ tensors }) => tensors[place] ?? []),
      0,
    ),
  );
  return fill(form, joined) as Output;
}

/** How plans are run. */
export interface PlanOptions {
  /**
   * Whether each takes one thread, whatever its size: for a module that is called by `callRows` for parts of large batches,
   * which then run at the same time. By default only those of small networks do.
   */
  readonly takesOneThread?: boolean;
}

/** The plans of one module. */
export class Plans<Output> {
  readonly #forward: (input: Tensor) => Output;
  readonly #handle: number;
  readonly #forms: Form[] = [];
  /** How often inputs of a shape without a plan came, or that there is to be none. */
  readonly #seen = new Map<string, number>();

  /** @param forward what the module does; it must do the same for all inputs of one shape */
  constructor(forward: (input: Tensor) => Output, { takesOneThread = false }: PlanOptions = {}) {
    this.#forward = forward;
    this.#handle = checked('compile', native.newPlans(takesOneThread));
  }

  /** How many shapes there are plans for. */
  get count(): number {
    return this.#forms.length;
  }

  /**
   * The module's output by a plan; undefined where there is none, and the module has to run.
   *
   * @param more inputs of this shape that are known to come
   */
  run(input: unknown, more = 0): Output | undefined {
    if (!(input instanceof Tensor) || isObserved()) return undefined;
    input.assertAlive('compile');
    const form = this.#forms[checked('compile', native.runPlan(this.#handle, input.handle))];
    if (form === undefined) return this.#meet(input, more);
    return fill(form, this.#take(form)) as Output;
  }

  /**
   * The outputs for every part of so many rows, each as if it were a batch of its own, joined along the first dimension;
   * undefined where there is no plan for such a part. Nothing is noted here.
   *
   * @param input with a multiple of `rows` rows
   */
  runParts(input: Tensor, rows: number): Output | undefined {
    if (isObserved()) return undefined;
    input.assertAlive('callRows');
    const form = this.#forms[checked('callRows', native.runPlanParts(this.#handle, input.handle, rows))];
    return form === undefined ? undefined : (fill(form, this.#take(form)) as Output);
  }

  dispose(): void {
    native.releasePlans(this.#handle);
  }

  #take(form: Form): Tensor[] {
    // Making a tensor does not write to the buffer, but what it tells an observer of might.
    return Array.from(buffer.subarray(0, countOf(form))).map((handle) => new Tensor(handle));
  }

  /** An input that no plan is for: the second one of its shape is worth a plan. */
  #meet(input: Tensor, more: number): Output | undefined {
    const key = `${input.dtype} ${input.shape.join()} ${input.strides.join()}`;
    const times = (this.#seen.get(key) ?? 0) + 1;
    if (!Number.isFinite(times)) return undefined;
    if (this.#seen.size >= 4 * mostPlans) this.#seen.clear();
    this.#seen.set(key, times);
    if (times + more < 2 || this.count >= mostPlans) return undefined;
    // From here on, whatever comes of it, this shape is not tried again.
    this.#seen.set(key, Infinity);
    return this.#record(input);
  }

  #record(input: Tensor): Output | undefined {
    if (!checked('compile', native.recordPlan(input.handle))) return undefined;
    buffer[0] = 0;
    let output: Output;
    try {
      output = scope(() => this.#forward(input));
    } catch (error) {
      buffer[0] = 0;
      native.finishPlan(this.#handle);
      throw error;
    }
    const tensors: Tensor[] = [];
    const form = formOf(output, tensors);
    reserveBuffer(tensors.length + 1);
    buffer[0] = form === null ? 0 : tensors.length;
    for (const [index, { handle }] of tensors.entries()) buffer[index + 1] = handle;
    if (!checked('compile', native.finishPlan(this.#handle)) || form === null) return output;
    this.#forms.push(form);
    if (!this.#isRight(input)) {
      this.#forms.pop();
      checked('compile', native.dropPlan(this.#handle));
    }
    return output;
  }

  /** Whether module and plan agree on another input: a module that looks at numbers may go another way there. */
  #isRight(like: Tensor): boolean {
    return scope(() => {
      const other = like.dtype === 'uint8' ? like.bitwiseNot() : like.mul(-0.75).add(0.125);
      const expected: Tensor[] = [];
      formOf(this.#forward(other), expected);
      const number = checked('compile', native.runPlan(this.#handle, other.handle));
      const form = this.#forms[number];
      if (form === undefined) return false;
      const found = this.#take(form);
      return (
        found.length === expected.length && found.every((each, index) => areClose(each, expected[index]))
      );
    });
  }
}

function countOf(form: Form): number {
  switch (form.kind) {
    case 'tensor':
      return 1;
    case 'list':
      return form.items.reduce((sum, item) => sum + countOf(item), 0);
    case 'record':
      return form.entries.reduce((sum, [, item]) => sum + countOf(item), 0);
    case 'value':
      return 0;
  }
}

/** Of one shape and the same but for roundings; never where there is NaN. */
function areClose(left: Tensor, right: Tensor | undefined): boolean {
  if (left.shape.join() !== right?.shape.join() || left.dtype !== right.dtype) return false;
  if (left.numel === 0) return true;
  const wide = (tensor: Tensor): Tensor => tensor.to('float64');
  const largest = wide(right).abs().max().item();
  return wide(left).sub(wide(right)).abs().max().item() <= tolerance * largest;
}

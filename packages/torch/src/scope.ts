/**
 * Lifetimes: a scope releases every tensor that was made inside it and is not returned, so that memory comes back at
 * the end of a layer or a step instead of whenever the garbage collector happens to run.
 */
import { native } from './native.ts';
import { ArgumentError } from './errors.ts';

/** What a scope needs of a tensor; `Tensor` is the only class that has it. */
export interface ScopedTensor {
  /** The scope that will release the tensor; null when the tensor lives until `dispose()` or garbage collection. */
  owner: Scope | null;
  dispose(): void;
  /** Hands the tensor's memory to the finalizer: it leaves the last scope. */
  leaveScopes(): void;
}

/** The tensors that one running `scope()` call will release. */
export class Scope {
  readonly tensors: ScopedTensor[] = [];
  readonly parent: Scope | null;

  constructor(parent: Scope | null) {
    this.parent = parent;
  }
}

let current: Scope | null = null;
let isTensor: (value: object) => value is ScopedTensor & object = (value): value is never => {
  throw new ArgumentError('scope', `tensor.ts was not loaded; got ${value.constructor.name}.`);
};

/** Told once by `tensor.ts` how tensors are recognised, which keeps the imports one-way. */
export function recogniseTensors(test: (value: object) => value is ScopedTensor & object): void {
  isTensor = test;
}

/** Puts a new tensor under the running scope; returns whether there was one. */
export function adopt(tensor: ScopedTensor): boolean {
  if (current === null) return false;
  tensor.owner = current;
  current.tensors.push(tensor);
  return true;
}

/** Calls `visit` for every tensor inside arrays, plain objects, maps and sets, which may hold each other in circles. */
export function visitTensors(
  value: unknown,
  visit: (tensor: ScopedTensor) => void,
  visited?: Set<object>,
): void {
  if (typeof value !== 'object' || value === null) return;
  if (isTensor(value)) {
    visit(value);
    return;
  }
  const seen = visited ?? new Set();
  if (seen.has(value)) return;
  seen.add(value);
  for (const item of contentsOf(value)) visitTensors(item, visit, seen);
}

function contentsOf(value: object): Iterable<unknown> {
  if (value instanceof Set || value instanceof Map) return value.values() as Iterable<unknown>;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = Array.isArray(value) || prototype === Object.prototype || prototype === null;
  const items: unknown[] = isPlain ? Object.values(value) : [];
  return items;
}

function close(scope: Scope): void {
  for (const tensor of scope.tensors) {
    if (tensor.owner === scope) tensor.dispose();
  }
}

function moveOut(scope: Scope, result: unknown): void {
  visitTensors(result, (tensor) => {
    if (tensor.owner !== scope) return;
    if (scope.parent === null) {
      tensor.owner = null;
      tensor.leaveScopes();
    } else {
      tensor.owner = scope.parent;
      scope.parent.tensors.push(tensor);
    }
  });
}

/**
 * Runs `body` and releases every tensor made inside it, except those in its result (a tensor, or arrays, plain objects,
 * maps and sets of tensors), which move to the enclosing scope. Everything is released when `body` throws.
 *
 * @throws {ArgumentError} when `body` is asynchronous: tensors of other callers would fall into the scope.
 */
export function scope<Result>(body: () => Result): Result {
  const mine = new Scope(current);
  current = mine;
  try {
    const result = body();
    if (result instanceof Promise) {
      // The promise is abandoned; its rejection must not bring the process down behind our own error.
      result.catch(() => undefined);
      throw new ArgumentError(
        'scope',
        'the function returned a promise. Scopes are synchronous: await first, then open a scope around the tensor work.',
      );
    }
    moveOut(mine, result);
    return result;
  } finally {
    current = mine.parent;
    close(mine);
  }
}

/** Takes tensors out of every scope: they live until `dispose()`, or until nothing refers to them. Returns its argument. */
export function keep<Value>(value: Value): Value {
  visitTensors(value, (tensor) => {
    if (tensor.owner === null) return;
    tensor.owner = null;
    tensor.leaveScopes();
  });
  return value;
}

/** Number of tensor handles alive in this thread; tests use it to show that nothing leaks. */
export function liveTensorCount(): number {
  return native.liveTensors();
}

/** Calls ATen operators by name: every operator LibTorch has, as a function and, where it takes `self`, as a method. */
import {
  decodeResults,
  encodeCall,
  EngineValue,
  reserveBuffer,
  type OperatorArgument,
  type OperatorResult,
} from './callBuffer.ts';
import { ArgumentError } from './errors.ts';
import { native, openEngine, throwLastError, whenOpened } from './native.ts';

let wrap: (handle: number) => EngineValue = () => {
  throw new ArgumentError('dispatch', 'tensor.ts was not loaded');
};
let describe: (value: EngineValue) => string = () => 'Tensor';

/** Told once by `tensor.ts` how results become tensors and how error messages show them. */
export function useTensors(
  tensorClass: new (handle: number) => EngineValue,
  show: (value: EngineValue) => string,
): void {
  wrap = (handle) => new tensorClass(handle);
  describe = show;
}

function describeArguments(first: EngineValue | null, rest: readonly OperatorArgument[]): string {
  const show = (value: OperatorArgument): string => {
    if (value instanceof EngineValue) {
      if (value.engineKind === 'generator') return 'Generator';
      try {
        return describe(value);
      } catch {
        // Tensors without sizes (nested ones) must not hide the error that is being reported.
        return 'Tensor';
      }
    }
    if (Array.isArray(value)) {
      const items: readonly OperatorArgument[] = value;
      const shown = items.slice(0, 6).map(show);
      return `[${shown.join(', ')}${items.length > 6 ? `, ... ${items.length} in all` : ''}]`;
    }
    if (typeof value === 'object' && value !== null) {
      return `{ ${Object.entries(value)
        .map(([name, item]: [string, OperatorArgument]) => `${name}: ${show(item)}`)
        .join(', ')} }`;
    }
    return typeof value === 'string' ? `'${value}'` : String(value);
  };
  const all = first === null ? rest : [first, ...rest];
  return ` (called with ${all.map(show).join(', ')})`;
}

/** What an observer learns of a call that has just succeeded. */
export interface OperatorCall {
  /** The operator in camelCase, e.g. `maxPool2d`; in-place ones end in an underscore. */
  readonly name: string;
  /** Arguments in order, the tensor a method was called on first. An object of keywords may come last. */
  readonly inputs: readonly OperatorArgument[];
  readonly result: OperatorResult | undefined;
}

/** Called after every operator; what it gives is ignored. */
export type OperatorObserver = (call: OperatorCall) => void;

let observer: OperatorObserver | null = null;

/**
 * Runs `body` and reports every operator that it calls, `Tensor.alias` included: what a tracer needs. The observer may call
 * operators of its own, which are not reported.
 */
export function observeOperators<Result>(observe: OperatorObserver, body: () => Result): Result {
  const before = observer;
  observer = observe;
  try {
    return body();
  } finally {
    observer = before;
  }
}

/** Whether anybody observes. */
export function isObserved(): boolean {
  return observer !== null;
}

/** Reports a call, if anybody observes. */
export function reportCall(call: OperatorCall): void {
  const observe = observer;
  if (observe === null) return;
  observer = null;
  try {
    observe(call);
  } finally {
    observer = observe;
  }
}

/** Reports a call that takes one value of the engine and gives another. */
export function reportUnary<Value extends EngineValue>(name: string, input: Value, result: Value): void {
  reportCall({ name, inputs: [input], result });
}

/** Runs an operator by its number. A single result comes back as it is, several as an array, none as undefined. */
export function callOperator(
  name: string,
  id: number,
  first: EngineValue | null,
  rest: readonly OperatorArgument[],
): OperatorResult | undefined {
  encodeCall(name, id, first, rest);
  let count = native.call();
  if (count < -1) {
    // So many results that they need a larger buffer.
    reserveBuffer(-count);
    count = native.takeResults();
  }
  if (count < 0) throwLastError(name, () => describeArguments(first, rest));
  const results = decodeResults(count, first, rest, wrap);
  const result = results.length <= 1 ? results[0] : results;
  if (observer !== null) reportCall({ name, inputs: first === null ? rest : [first, ...rest], result });
  return result;
}

/** `_foreach_add_` becomes `_foreachAdd_`: inner underscores go, those at the ends stay. */
export function camelCase(name: string): string {
  return name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

interface OperatorEntry {
  readonly name: string;
  readonly id: number;
  readonly isMethod: boolean;
}

let entries: ReadonlyMap<string, OperatorEntry> | undefined;

/** ATen's operators and our own by camelCase name. */
export function operatorEntries(): ReadonlyMap<string, OperatorEntry> {
  entries ??= new Map(
    native
      .listOperators()
      .split('\n')
      .map((line, id): [string, OperatorEntry] => {
        const [qualified = '', kind] = line.split('\t');
        const name = camelCase(qualified.replace(/^(aten|cohort)::/, ''));
        return [name, { name, id, isMethod: kind === 'm' }];
      })
      .filter(([name]) => name !== '' && !name.includes('::')),
  );
  return entries;
}

/** Defines every method operator on `prototype` once the engine is open, unless the class has a member of that name. */
export function defineMethods(prototype: object): void {
  whenOpened(() => {
    for (const [name, { id, isMethod }] of operatorEntries()) {
      if (!isMethod || name in prototype) continue;
      Object.defineProperty(prototype, name, {
        configurable: true,
        writable: true,
        value(this: EngineValue, ...rest: OperatorArgument[]) {
          return callOperator(name, id, this, rest);
        },
      });
    }
  });
}

type OperatorFunction = (...rest: OperatorArgument[]) => OperatorResult | undefined;

/**
 * An object with every operator as a function. Their names are known only when the engine is open, so until then the
 * prototype watches for the first look at one; afterwards it is a plain object.
 */
export function operatorFunctions(): Record<string, OperatorFunction> {
  const opened = (): Record<string, OperatorFunction> => {
    openEngine();
    return functions;
  };
  const watch = new Proxy(Object.prototype, {
    get: (_, name): unknown => Reflect.get(typeof name === 'string' ? opened() : Object.prototype, name),
    has: (_, name) => Reflect.has(typeof name === 'string' ? opened() : Object.prototype, name),
  });
  const functions = Object.create(watch) as Record<string, OperatorFunction>;
  whenOpened(() => {
    Object.setPrototypeOf(functions, Object.prototype);
    for (const [name, { id }] of operatorEntries()) {
      functions[name] = (...rest) => callOperator(name, id, null, rest);
    }
  });
  return functions;
}

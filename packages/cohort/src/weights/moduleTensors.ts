/** Tensors of whole modules: `torch.save(model)` keeps a tree of objects, whose parameters and buffers are the state dict. */
import { InertObject, type PickleMap, type PickleValue } from './pickle/index.ts';

/** Modules are not nested deeper; a tree that contains itself ends here too. */
const deepestModule = 32;
/** Modules may occur in several places, so a small file could else take for ever. */
const mostModules = 100_000;
/** Where the tensors and the modules inside a module lie. */
const tensorKeys = ['_parameters', '_buffers'];

/** The dictionary that an inert object stands for: a module's state dict, or the entries of a dictionary of its own class. */
export function dictionaryOf(object: InertObject): PickleMap {
  const state = attributesOf(object);
  if (state?.get('_modules') instanceof Map && state.get('_parameters') instanceof Map) {
    const tensors: PickleMap = new Map();
    collect(object, '', 0, tensors, { left: mostModules });
    return tensors;
  }
  return object.entries;
}

function attributesOf(value: PickleValue | undefined): PickleMap | null {
  return value instanceof InertObject && value.state instanceof Map ? value.state : null;
}

function collect(
  module: PickleValue,
  prefix: string,
  depth: number,
  tensors: PickleMap,
  visits: { left: number },
): void {
  const state = attributesOf(module);
  if (state === null || depth > deepestModule || visits.left === 0) return;
  visits.left -= 1;
  for (const key of tensorKeys) {
    const own = state.get(key);
    if (!(own instanceof Map)) continue;
    for (const [name, tensor] of own) {
      if (typeof name === 'string' && tensor !== null) tensors.set(`${prefix}${name}`, tensor);
    }
  }
  const modules = state.get('_modules');
  if (modules instanceof Map) {
    for (const [name, inner] of modules) {
      if (typeof name === 'string') collect(inner, `${prefix}${name}.`, depth + 1, tensors, visits);
    }
  }
}

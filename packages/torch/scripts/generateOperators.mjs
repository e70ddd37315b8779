/** Turns LibTorch's operator schemas into TypeScript types: an interface of methods and one of functions. */

const scalarTypes = new Map([
  ['Tensor', 'Tensor'],
  ['Scalar', 'Scalar'],
  ['int', 'Integer'],
  ['SymInt', 'Integer'],
  ['float', 'number'],
  ['bool', 'boolean'],
  ['str', 'string'],
  ['ScalarType', 'DType'],
  ['MemoryFormat', 'MemoryFormat'],
  ['Layout', 'Layout'],
  ['Device', 'string'],
  ['Generator', 'Generator'],
]);

/** The names that `Tensor` defines itself; operators of the same name stay reachable as functions. */
const ownMembers = new Set(
  'shape strides numel dtype device requiresGrad isLeaf grad setData alias toTypedArray toNumbers item dispose toString handle owner'.split(
    ' ',
  ),
);

const reservedWords = new Set('default function in new with delete var class'.split(' '));

export function camelCase(name) {
  return name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, letter) => letter.toUpperCase());
}

/** TypeScript type of an argument's schema type, or null when the binding does not pass it. */
function argumentType(type, isSized) {
  if (type.endsWith('?')) {
    const inner = argumentType(type.slice(0, -1), isSized);
    return inner === null ? null : `${inner} | null`;
  }
  const list = /^(.*)\[\d*\]$/.exec(type);
  if (list) {
    const inner = argumentType(list[1], false);
    if (inner === null) return null;
    const element = inner.includes('|') ? `(${inner})` : inner;
    return `readonly ${element}[]${isSized || inner === 'Integer' ? ` | ${inner}` : ''}`;
  }
  return scalarTypes.get(type) ?? null;
}

function resultType(type) {
  const plain = type.replace(/\([a-z!|]*\)/g, '');
  if (plain.endsWith('?')) return `${resultType(plain.slice(0, -1))} | null`;
  const list = /^(.*)\[\d*\]$/.exec(plain);
  if (list) return `${resultType(list[1])}[]`;
  return (
    { Tensor: 'Tensor', Scalar: 'number', int: 'number', float: 'number', bool: 'boolean', str: 'string' }[
      plain
    ] ?? 'unknown'
  );
}

function parse(line) {
  const [schema, argumentText, resultText] = line.split('\t');
  const name = /^(?:aten|cohort)::([A-Za-z0-9_]+)/.exec(schema)?.[1];
  if (name === undefined) return null;
  const parameters = argumentText
    .split('\x1e')
    .filter(Boolean)
    .map((text) => {
      const [argument, type, place, presence, sized] = text.split('\x1f');
      const camel = camelCase(argument);
      return {
        name: reservedWords.has(camel) ? `${camel}_` : camel,
        keyword: camel,
        type: argumentType(type, sized === 'n'),
        isKeywordOnly: place === 'k',
        isOptional: presence === 'd',
        isSelf: argument === 'self' && type === 'Tensor',
      };
    });
  // Named dimensions and quantisers have no place in the call buffer.
  if (/dimname|str\[/i.test(schema)) return null;
  if (parameters.some(({ type, isOptional }) => type === null && !isOptional)) return null;
  const results = resultText.split('\x1e').filter(Boolean).map(resultType);
  const result =
    results.length === 0 ? 'void' : results.length === 1 ? results[0] : `[${results.join(', ')}]`;
  return {
    name: camelCase(name),
    schema,
    parameters: parameters.filter(({ type }) => type !== null),
    result,
  };
}

/** The ways to write a call: all positional, and with a last object of keyword arguments. */
function signatures(parameters) {
  const positional = parameters.filter((parameter) => !parameter.isKeywordOnly);
  const required = positional.filter((parameter) => !parameter.isOptional);
  const keywordOnly = parameters.filter((parameter) => parameter.isKeywordOnly);
  const render = ({ name, type, isOptional }) => `${name}${isOptional ? '?' : ''}: ${type}`;
  const keywords = (list) => {
    const fields = list.map(
      ({ keyword, type, isOptional }) =>
        `${keyword}${isOptional ? '?' : ''}: ${type}${isOptional ? ' | undefined' : ''}`,
    );
    return `keywords: { ${fields.join('; ')} }`;
  };
  const result = [];
  if (!keywordOnly.some((parameter) => !parameter.isOptional)) result.push(positional.map(render));
  const named = [...positional.filter((parameter) => parameter.isOptional), ...keywordOnly];
  if (named.length > 0) result.push([...required.map(render), keywords(named)]);
  if (keywordOnly.length > 0 && required.length < positional.length) {
    const all = positional.map(
      ({ name, type, isOptional }) => `${name}: ${type}${isOptional ? ' | undefined' : ''}`,
    );
    result.push([...all, keywords(keywordOnly)]);
  }
  return [...new Set(result.map((list) => list.join(', ')))];
}

/** The text of `src/generated/operators.ts` from the addon's `listSchemas()`. */
export function generateOperatorTypes(schemas, version) {
  const overloads = new Map();
  for (const line of schemas.split('\n').filter(Boolean)) {
    const overload = parse(line);
    if (overload === null) continue;
    const known = overloads.get(overload.name) ?? [];
    overloads.set(overload.name, [...known, overload]);
  }
  const functions = [];
  const methods = [];
  for (const [name, list] of [...overloads].sort(([left], [right]) => (left < right ? -1 : 1))) {
    for (const { schema, parameters, result } of list) {
      const comment = `  /** \`${schema.replaceAll('*/', '* /')}\` */`;
      for (const signature of signatures(parameters))
        functions.push(comment, `  ${name}(${signature}): ${result};`);
      if (!parameters[0]?.isSelf || ownMembers.has(name)) continue;
      for (const signature of signatures(parameters.slice(1)))
        methods.push(comment, `  ${name}(${signature}): ${result};`);
    }
  }
  return [
    `/** Generated from the operator schemas of LibTorch ${version} by scripts/generateOperators.mjs; do not edit. */`,
    "import type { DType, Layout, MemoryFormat } from '../dtype.ts';",
    "import type { Generator } from '../generator.ts';",
    "import type { Tensor } from '../tensor.ts';",
    '',
    '/** A number of any kind; LibTorch converts it to the dtype at hand. */',
    'export type Scalar = number | bigint | boolean;',
    '/** A whole number; bigints carry what is past 2^53. */',
    'export type Integer = number | bigint;',
    '',
    '/** Operators that take `self`, as methods. */',
    'export interface TensorOperators {',
    ...methods,
    '}',
    '',
    '/**',
    ' * Every operator, as a function. Those that LibTorch keeps for itself (a leading underscore, `...Backward` and some',
    ' * kernels) throw until `allowInternalOperators()` is called, since they do not check their arguments.',
    ' */',
    'export interface Operators {',
    ...functions,
    '}',
    '',
  ].join('\n');
}

/** Chooses the part of a file that is the network, and says in full what does not fit when none is. */
import { WeightsError, type WeightsProblem } from './errors.ts';
import { fitDictionary, isComplete, type Fit, type Target } from './fit.ts';
import type { NameRule } from './names.ts';
import { suggestModels } from './suggest.ts';
import type { WeightsFile } from './weightsFile.ts';

/** How the tensors of a file are looked for. */
export interface FitOptions {
  readonly rules?: readonly NameRule[];
  /** Keys that lead to the dictionary: `state_dict`; left out: the one that fits best. */
  readonly key?: string | undefined;
}

/** Names shown of each kind; all are in the error's `problems`. */
const shownNames = 6;

/** Among dictionaries that fit equally well, averaged weights come last: they are asked for by key. */
function isAverage(path: string): boolean {
  return /ema|average|swa|teacher/i.test(path);
}

/** The dictionary that fits best, whether or not it fits. @throws {WeightsError} `dictionary` */
export function chooseFit(file: WeightsFile, target: Target, options: FitOptions): Fit {
  const { rules = [], key } = options;
  const { dictionaries } = file;
  const fits = dictionaries
    .filter(({ path }) => key === undefined || path === key)
    .map((dictionary) => fitDictionary(dictionary, target, rules));
  // Sorting is stable: outer dictionaries come before inner ones.
  fits.sort((left, right) => {
    const matched = right.pairs.size + right.misshapen.length - left.pairs.size - left.misshapen.length;
    return matched || Number(isAverage(left.dictionary.path)) - Number(isAverage(right.dictionary.path));
  });
  const [best] = fits;
  if (best !== undefined) return best;
  throw missingDictionary(file, key);
}

/** The error for a file without a dictionary of tensors, or without one under this key. */
export function missingDictionary({ path, dictionaries }: WeightsFile, key?: string): WeightsError {
  const found = dictionaries.map(
    (each) => `${each.path || '(the whole file)'}: ${each.tensors.size} tensors`,
  );
  return new WeightsError('dictionary', {
    operation: `reading ${path}`,
    expected: key === undefined ? 'a dictionary of tensors by name' : `a dictionary of tensors under ${key}`,
    received: found.length === 0 ? 'none' : found.join(', '),
    remedy:
      key === undefined || found.length === 0
        ? 'In Python, save the weights with torch.save(model.state_dict(), path).'
        : 'Give one of these keys.',
  });
}

/** @throws {WeightsError} `mismatch` with every name, and the model that would fit; `dictionary` for several networks in one */
export function assertFits(fit: Fit, file: WeightsFile, model: string, options: FitOptions): void {
  const operation = `fitting ${describePlace(fit, file)} to ${model}`;
  if (fit.rivals.length > 0) {
    const prefixes = [fit.prefix, ...fit.rivals].map((prefix) => prefix.replace(/\.$/, '') || '(none)');
    throw new WeightsError('dictionary', {
      operation,
      expected: 'one network',
      received: `${prefixes.length}, whose names begin with ${prefixes.join(', ')}`,
      remedy: `Choose one by taking its prefix off, for example --map ${fit.prefix.replace(/\.$/, '') || prefixes[1]}=.`,
    });
  }
  if (isComplete(fit)) return;
  throw new WeightsError('mismatch', {
    operation,
    expected: `all of its tensors, each in its shape`,
    received: describeMisfits(fit),
    remedy: suggest(fit, model, options),
    problems: problemsOf(fit),
  });
}

/** `state_dict of a.pth`. */
export function describePlace({ dictionary }: Fit, { path }: WeightsFile): string {
  return dictionary.path === '' ? path : `${dictionary.path} of ${path}`;
}

/** Names in a list that is cut where it gets long. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, shownNames).join(', ');
  return names.length > shownNames ? `${shown}, and ${names.length - shownNames} more` : shown;
}

function describeMisfits({ missing, unexpected, misshapen, mistyped }: Fit): string {
  const shapes = misshapen.map(
    ({ name, source, found, expected }) =>
      `${name}${source === name ? '' : ` (${source})`} [${found.join(', ')}] instead of [${expected.join(', ')}]`,
  );
  const groups: (readonly [string, readonly string[]])[] = [
    ['missing', missing],
    ['unexpected', unexpected],
    ['of another shape', shapes],
    ['of another type than ordinary floats', mistyped],
  ];
  return groups
    .filter(([, names]) => names.length > 0)
    .map(([title, names]) => `${names.length} ${title}: ${listNames(names)}`)
    .join('; ');
}

function problemsOf({ missing, unexpected, misshapen, mistyped }: Fit): WeightsProblem[] {
  const list = (problem: WeightsProblem['problem'], names: readonly string[]): WeightsProblem[] =>
    names.map((tensor) => ({ problem, tensor }));
  return [
    ...list('missing', missing),
    ...list('unexpected', unexpected),
    ...list(
      'misshapen',
      misshapen.map(({ name }) => name),
    ),
    ...list('mistyped', mistyped),
  ];
}

function suggest({ dictionary }: Fit, model: string, { rules = [] }: FitOptions): string {
  const { fitting, alike } = suggestModels(dictionary, rules);
  const others = (names: readonly string[]): string[] => names.filter((name) => name !== model);
  const [first] = others(fitting);
  if (first !== undefined) return `The file fits ${others(fitting).join(' and ')}: name that model.`;
  if (alike.length > 0) {
    return `By their shapes these are the weights of ${alike.join(' or ')} under other names: give those with --map old=new (a name, or its beginning up to a dot).`;
  }
  return 'No model here has these tensors; cohort models lists all.';
}

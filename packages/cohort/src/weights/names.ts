/**
 * Finds which tensor of a file is which of a network: prefixes that wrappers put in front are taken off, and the names of
 * common public implementations become ours.
 */

import { publicNames } from './publicNames.ts';

/** A tensor by its name and shape. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** A rule of the user's: a name, or the start of names at a dot, and what stands there instead (`''`: nothing). */
export interface NameRule {
  readonly from: string;
  readonly to: string;
}

/** What classifiers are called in public implementations, alone or with a place in a sequence: `fc`, `fc.1`, `head.fc`. */
const classifierName =
  /^(?:fc|fc1|new_fc|linear|lin|classifier|head|heads|last_linear|final|output|out|logits|top|cls)(?:\.(?:\d+|fc|linear|head|classifier|out|l))*$/;

/** Longer names are no names of tensors, and would take long to compare. */
const longestName = 500;

/** How others call what is here called otherwise; the first that leads to a name of the network counts. */
const synonyms: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // kuangliu and akamaster, and many after them, for residual networks.
  [/\.shortcut\./, '.downsample.'],
  [/\.shortcut\./, '.convShortcut.'],
  [/\.(?:skip|identity|residual)\./, '.downsample.'],
  [/\.conv_?shortcut\./i, '.convShortcut.'],
  // Stems that are a sequence.
  [/^conv1\.0\./, 'conv1.'],
  [/^conv1\.1\./, 'bn1.'],
  [/^(?:stem|init_block)\.conv\./, 'conv1.'],
  [/^(?:stem|init_block)\.bn\./, 'bn1.'],
  [/^norm1\./, 'bn1.'],
  [/\.norm(\d)\./, '.bn$1.'],
  // gpleiss for DenseNet without bottlenecks.
  [/(denselayer\d+)\.norm1\./, '$1.norm.'],
  [/(denselayer\d+)\.conv1\./, '$1.conv.'],
  [/^features\.norm_final\./, 'features.norm5.'],
  [/^features\.norm0\./, 'features.norm5.'],
  // Stages by other words.
  [/^(?:block|stage|group)(\d)\./, 'layer$1.'],
  [/^(?:block|stage|group|layers?)(\d)\.(\d+)\./, 'block$1.layer.$2.'],
  [/^layers\.(\d)\./, 'layer$1.'],
];

/** Every name that a tensor may have here: its own first, then with one and two synonyms. */
function candidates(name: string): string[] {
  const once = synonyms
    .filter(([pattern]) => pattern.test(name))
    .map(([pattern, replacement]) => name.replace(pattern, replacement));
  const twice = once.flatMap((other) =>
    synonyms.filter(([pattern]) => pattern.test(other)).map(([pattern, to]) => other.replace(pattern, to)),
  );
  return [name, ...publicNames(name), ...once, ...twice];
}

/** The names of a file after the user's rules. */
export function applyRules(name: string, rules: readonly NameRule[]): string {
  for (const { from, to } of rules) {
    if (name === from) return to;
    const start = from.endsWith('.') ? from : `${from}.`;
    if (!name.startsWith(start)) continue;
    const rest = name.slice(start.length);
    return to === '' ? rest : `${to.replace(/\.$/, '')}.${rest}`;
  }
  return name;
}

/** Which tensor of the file each of the network's is, and what is left. */
export interface NameMatch {
  /** Names in the network to names in the file. */
  readonly pairs: ReadonlyMap<string, string>;
  /** Names in the file that none of the network's tensors took, as they would be called here. */
  readonly left: ReadonlyMap<string, string>;
  /** What was in front of the names, with its dot; empty for nothing. */
  readonly prefix: string;
  /** Other prefixes under which a whole network lies too. */
  readonly rivals: readonly string[];
  /** The file's classifier as it is called there; null when there is none that is one linear layer. */
  readonly classifier: string | null;
  /** Whether the classifier has further layers with weights, so that the one found is not all of it. */
  readonly hasDeepClassifier: boolean;
}

/**
 * @param names of the file's tensors
 * @param targets names of the network's tensors
 * @param classifier name of the network's classifier, without its dot
 */
export function matchNames(
  names: readonly string[],
  targets: ReadonlySet<string>,
  classifier: string,
  rules: readonly NameRule[],
): NameMatch {
  const sane = names.filter((name) => name.length <= longestName);
  const renamed = new Map(sane.map((name) => [name, applyRules(name, rules)]));
  const counts = countPrefixes([...renamed.values()], targets);
  const ordered = [...counts].sort(([a, left], [b, right]) => right - left || a.length - b.length);
  const [prefix, most] = ordered[0] ?? ['', 0];
  // Names without any prefix are meant, whatever else the file holds: so the user chooses by taking a prefix off.
  const rivals =
    prefix === '' ? [] : ordered.slice(1).filter(([, count]) => count === most && most > targets.size / 3);
  const pairs = new Map<string, string>();
  const left = new Map<string, string>();
  for (const [name, mine] of renamed) {
    left.set(name, mine.startsWith(prefix) ? mine.slice(prefix.length) : mine);
  }
  // Names that are the same come first, so that no synonym takes their place.
  for (const spellings of [(name: string): string[] => [name], candidates]) {
    for (const [name, bare] of left) {
      const target = spellings(bare).find((spelling) => targets.has(spelling) && !pairs.has(spelling));
      if (target === undefined) continue;
      pairs.set(target, name);
      left.delete(name);
    }
  }
  const found = findClassifier(pairs, left, classifier);
  const layers = new Set([...left.values()].map(layerOf).filter((layer) => classifierName.test(layer)));
  return {
    pairs,
    left,
    prefix,
    rivals: rivals.map(([rival]) => rival),
    classifier: found?.source ?? null,
    hasDeepClassifier: found !== null && [...layers].some((layer) => rootOf(layer) === rootOf(found.layer)),
  };
}

/** How many of the network's names stand behind each prefix that ends at a dot. */
function countPrefixes(names: readonly string[], targets: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) {
    for (let at = 0; at >= 0; at = nextStart(name, at)) {
      const rest = name.slice(at);
      if (!candidates(rest).some((candidate) => targets.has(candidate))) continue;
      const prefix = name.slice(0, at);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  return counts;
}

function nextStart(name: string, at: number): number {
  const dot = name.indexOf('.', at);
  return dot < 0 ? -1 : dot + 1;
}

/** Whether a tensor is of a classifier, by its name. */
export function isOfClassifier(name: string): boolean {
  return classifierName.test(layerOf(name));
}

function layerOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')));
}

function rootOf(layer: string): string {
  return layer.split('.')[0] ?? layer;
}

/** Moves the file's classifier from what is left to the pairs, and says its name in the file and without its prefix. */
function findClassifier(
  pairs: Map<string, string>,
  left: Map<string, string>,
  classifier: string,
): { readonly source: string; readonly layer: string } | null {
  const weight = `${classifier}.weight`;
  const bias = `${classifier}.bias`;
  const known = pairs.get(weight);
  if (known !== undefined) return { source: layerOf(known), layer: classifier };
  // Of a sequence the last layer gives the classes.
  const found = [...left].findLast(
    ([, bare]) => bare.endsWith('.weight') && classifierName.test(layerOf(bare)),
  );
  if (found === undefined) return null;
  const [name, bare] = found;
  const layer = layerOf(bare);
  pairs.set(weight, name);
  left.delete(name);
  const [biasName] = [...left].find(([, other]) => other === `${layer}.bias`) ?? [];
  if (biasName !== undefined) {
    pairs.set(bias, biasName);
    left.delete(biasName);
  }
  return { source: layerOf(name), layer };
}

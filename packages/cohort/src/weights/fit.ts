/** Compares the tensors of a file with those of a network: what goes where, what does not fit, and what that means. */
import type { Network } from '../models/index.ts';
import { isOfClassifier, matchNames, type NameRule, type Shapes } from './names.ts';
import type { TensorDictionary } from './weightsFile.ts';

/** A network as far as weights are concerned. */
export interface Target {
  readonly shapes: Shapes;
  /** Name of the classifier in the state dict: `fc`. */
  readonly classifier: string;
  /** Name of the first convolution's weight, whose second size is the images' channels. */
  readonly stem: string;
}

/** The target that a network is. */
export function targetOf(network: Network): Target {
  const shapes = new Map<string, readonly number[]>();
  let classifier = '';
  let stem: string | null = null;
  for (const [name, tensor] of network.stateDict()) {
    const { shape } = tensor;
    shapes.set(name, shape);
    if (tensor === network.classifier.weight) classifier = name.replace(/\.weight$/, '');
    if (shape.length === 4) stem ??= name;
  }
  return { shapes, classifier, stem: stem ?? '' };
}

/** Two shapes that should be equal. */
export interface Misfit {
  /** In the network. */
  readonly name: string;
  /** In the file. */
  readonly source: string;
  readonly found: readonly number[];
  readonly expected: readonly number[];
}

/** The effect of loading a dictionary into a network. */
export interface Fit {
  readonly dictionary: TensorDictionary;
  /** Names in the network to names in the file, of all tensors that fit; without the classifier unless it fits. */
  readonly pairs: ReadonlyMap<string, string>;
  readonly prefix: string;
  readonly rivals: readonly string[];
  /** Tensors of the network that the file lacks; counters of batches are not missed, nor is the classifier. */
  readonly missing: readonly string[];
  /** Tensors of the file that lie inside the network's parts but that the network lacks. */
  readonly unexpected: readonly string[];
  /** Tensors of the file in other parts (projection heads, averages), which are left out. */
  readonly ignored: readonly string[];
  readonly misshapen: readonly Misfit[];
  /** Tensors of other numbers where the network has floats: quantised, complex or 8-bit floats. */
  readonly mistyped: readonly string[];
  /** Classes of the file's classifier; null when it has none that is one linear layer of this width. */
  readonly classes: number | null;
  readonly hasClassifier: boolean;
  /** Channels of the images that the file's network takes; null when its first convolution was not found. */
  readonly channels: number | null;
}

const floats = new Set(['float16', 'bfloat16', 'float32', 'float64']);

/** Statistics that some versions of PyTorch did not keep, and that change nothing here. */
function isCounter(name: string): boolean {
  return name.endsWith('num_batches_tracked');
}

/** Compares one dictionary with a network. */
export function fitDictionary(dictionary: TensorDictionary, target: Target, rules: readonly NameRule[]): Fit {
  const { tensors } = dictionary;
  const names = new Set(target.shapes.keys());
  const match = matchNames([...tensors.keys()], names, target.classifier, rules);
  const pairs = new Map<string, string>();
  const misshapen: Misfit[] = [];
  const mistyped: string[] = [];
  for (const [name, source] of match.pairs) {
    const expected = target.shapes.get(name);
    const stored = tensors.get(source);
    // A layer of another bias or width is handled below, all at once.
    if (expected === undefined || stored === undefined || isClassifier(name, target)) continue;
    const found = stored.shape;
    if (isCounter(name)) {
      if (found.length === 0) pairs.set(name, source);
    } else if (found.join() !== expected.join()) misshapen.push({ name, source, found, expected });
    else if (!floats.has(stored.type)) mistyped.push(`${source} (${stored.type})`);
    else pairs.set(name, source);
  }
  const missing = [...names].filter(
    (name) => !match.pairs.has(name) && !isCounter(name) && !isClassifier(name, target),
  );
  const { unexpected, ignored } = sortLeft(match.left, target);
  const weight = match.pairs.get(`${target.classifier}.weight`);
  const channels = tensors.get(match.pairs.get(target.stem) ?? '')?.shape[1] ?? null;
  return {
    dictionary,
    pairs: match.hasDeepClassifier ? pairs : addClassifier(pairs, match.pairs, dictionary, target),
    prefix: match.prefix,
    rivals: match.rivals,
    missing,
    unexpected,
    ignored,
    misshapen,
    mistyped,
    classes: match.hasDeepClassifier ? null : classesOf(dictionary, match.pairs, target),
    hasClassifier: weight !== undefined,
    channels,
  };
}

function isClassifier(name: string, { classifier }: Target): boolean {
  return name.startsWith(`${classifier}.`);
}

/** Parts of the file that the network lacks entirely are other modules; anything else inside its parts is a misfit. */
function sortLeft(
  left: ReadonlyMap<string, string>,
  target: Target,
): { unexpected: string[]; ignored: string[] } {
  const own = [...target.shapes.keys()].filter((name) => !isClassifier(name, target));
  const parts = new Set(own.map((name) => name.split('.')[0]));
  const unexpected: string[] = [];
  const ignored: string[] = [];
  for (const [name, bare] of left) {
    if (isCounter(name)) continue;
    const isInside = parts.has(bare.split('.')[0]) && !isClassifier(bare, target) && !isOfClassifier(bare);
    (isInside ? unexpected : ignored).push(name);
  }
  return { unexpected, ignored };
}

/** Classes of the file's classifier, when it is one linear layer from the network's embedding. */
function classesOf(
  { tensors }: TensorDictionary,
  pairs: ReadonlyMap<string, string>,
  { shapes, classifier }: Target,
): number | null {
  const weight = tensors.get(pairs.get(`${classifier}.weight`) ?? '');
  const bias = tensors.get(pairs.get(`${classifier}.bias`) ?? '');
  const width = shapes.get(`${classifier}.weight`)?.[1];
  const [classes, found, ...rest] = weight?.shape ?? [];
  if (weight === undefined || bias === undefined || classes === undefined || classes < 2) return null;
  if (found !== width || rest.length > 0 || bias.shape.join() !== `${classes}`) return null;
  return floats.has(weight.type) && floats.has(bias.type) ? classes : null;
}

function addClassifier(
  pairs: Map<string, string>,
  matched: ReadonlyMap<string, string>,
  dictionary: TensorDictionary,
  target: Target,
): Map<string, string> {
  const { classifier, shapes } = target;
  const classes = shapes.get(`${classifier}.weight`)?.[0];
  if (classesOf(dictionary, matched, target) !== classes) return pairs;
  for (const part of ['weight', 'bias']) {
    const source = matched.get(`${classifier}.${part}`);
    if (source !== undefined) pairs.set(`${classifier}.${part}`, source);
  }
  return pairs;
}

/** Whether everything but the classifier, the images' channels and the counters fits. */
export function isComplete(fit: Fit): boolean {
  return fit.missing.length + fit.unexpected.length + fit.misshapen.length + fit.mistyped.length === 0;
}

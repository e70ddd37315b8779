/** Names the architecture that weights belong to, by comparing them with every one there is. */
import { Generator } from '@cohort/torch';
import { createNetwork, modelNames, type ModelName } from '../models/index.ts';
import { fitDictionary, isComplete, targetOf, type Target } from './fit.ts';
import type { NameRule } from './names.ts';
import type { TensorDictionary } from './weightsFile.ts';

/** What is known of weights that do not fit the model that was asked for. */
export interface Suggestion {
  /** Models that take the weights as they are. */
  readonly fitting: readonly ModelName[];
  /** Models of exactly these shapes under other names; only looked for when none fits. */
  readonly alike: readonly ModelName[];
}

/** Compares the tensors of a dictionary with every architecture; slow the first time, so it is for failures only. */
export function suggestModels(
  dictionary: TensorDictionary,
  rules: readonly NameRule[],
  channels: number | null,
): Suggestion {
  const targets = allTargets(channels !== null && channels <= 256 ? Math.max(1, channels) : 3);
  const fitting = targets.filter(([, target]) => isComplete(fitDictionary(dictionary, target, rules)));
  if (fitting.length > 0) return { fitting: fitting.map(([name]) => name), alike: [] };
  const found = shapeCounts([...dictionary.tensors.values()].map(({ shape }) => shape));
  const alike = targets.filter(([, target]) => {
    const shapes = [...target.shapes].filter(([name]) => !name.startsWith(`${target.classifier}.`));
    return isContained(shapeCounts(shapes.map(([, shape]) => shape)), found);
  });
  return { fitting: [], alike: alike.map(([name]) => name) };
}

const targetsByChannels = new Map<number, readonly (readonly [ModelName, Target])[]>();

/** Names and shapes of every architecture; kept, since building all of them takes a second or two. */
function allTargets(channels: number): readonly (readonly [ModelName, Target])[] {
  const known = targetsByChannels.get(channels);
  if (known !== undefined) return known;
  const targets = modelNames().map((name) => {
    const network = createNetwork(name, { classes: 10, channels, generator: new Generator(0) });
    const target = targetOf(network);
    network.dispose();
    return [name, target] as const;
  });
  targetsByChannels.set(channels, targets);
  return targets;
}

/** How often each shape occurs; single numbers (counters) apart. */
function shapeCounts(shapes: readonly (readonly number[])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const shape of shapes) {
    if (shape.length > 0) counts.set(shape.join(), (counts.get(shape.join()) ?? 0) + 1);
  }
  return counts;
}

/** Whether a file has a network's shapes, and at most a few more (a classifier, a head). */
function isContained(wanted: ReadonlyMap<string, number>, found: ReadonlyMap<string, number>): boolean {
  let extra = [...found.values()].reduce((total, count) => total + count, 0);
  for (const [shape, count] of wanted) {
    if ((found.get(shape) ?? 0) < count) return false;
    extra -= count;
  }
  return extra <= 8;
}

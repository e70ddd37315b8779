/** What is probed: the networks of runs, grouped by recipe over seeds, and the same networks with their first, random weights. */
import { createHash } from 'node:crypto';
import { createNetworks } from '../../cohort/cohort.ts';
import type { ImageFit, ImageShape, Normalisation } from '../../data/index.ts';
import { loadRun } from '../../inference/loadRun.ts';
import type { Network } from '../../models/index.ts';
import { networkNames } from '../../recipes/networkNames.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { ProbeError } from '../errors.ts';

/** Label of the control. */
export const RANDOM_LABEL = 'random weights';

/** A cohort to probe, before its networks are loaded. */
export interface Subject {
  /** Of its group: the method, or `random weights`. */
  readonly label: string;
  readonly seed: number;
  /** Folder of the run; null for random weights. */
  readonly runPath: string | null;
  readonly recipe: ResolvedRecipe;
  /** Epochs and steps that its weights are from; null for random weights. */
  readonly trained: { readonly epoch: number; readonly step: number; readonly epochs: number } | null;
  readonly classes: readonly string[];
  readonly shape: ImageShape & { readonly fit: ImageFit };
  readonly normalisation: Normalisation;
  readonly names: readonly string[];
  /** Loads the networks in evaluation mode; whoever calls releases them. */
  open(): { readonly networks: readonly Network[]; dispose(): void };
}

/** How runs are opened. */
export interface SubjectOptions {
  readonly reporter: Pick<Reporter, 'warning'>;
  readonly checkpoint?: string;
  /** Side in pixels that images are brought to; the run's own size unless given. */
  readonly size?: number;
}

/**
 * The runs in the order given, and one control with random weights for each seed and set of architectures among them.
 * @throws RunError and CheckpointError for runs that cannot be opened, {ProbeError} for the same training twice
 */
export function openSubjects(runPaths: readonly string[], options: SubjectOptions): Subject[] {
  const runs = runPaths.map((path) => openRunSubject(path, options));
  assertNoRepeats(runs);
  const labels = groupLabels(runs);
  const labelled = runs.map((run, index) => ({ ...run, label: labels[index] ?? run.label }));
  const controls = new Map<string, Subject>();
  for (const run of labelled) {
    const signature = architectures(run);
    const key = `${signature} ${run.seed}`;
    if (!controls.has(key)) controls.set(key, randomControl(run, RANDOM_LABEL));
  }
  const signatures = new Set(labelled.map(architectures));
  const named = [...controls.values()].map((control) =>
    signatures.size === 1 ? control : { ...control, label: `${RANDOM_LABEL} (${architectures(control)})` },
  );
  return [...labelled, ...named];
}

function openRunSubject(path: string, { reporter, checkpoint, size }: SubjectOptions): Subject {
  const run = loadRun(path, reporter, checkpoint);
  const { recipe, checkpoint: info, names } = run;
  run.dispose();
  const { classes, channels, height, width, normalisation, fit = 'fill' } = info;
  const sides = size === undefined ? { height, width } : { height: size, width: size };
  const { epoch, step } = info;
  return {
    ...{ label: recipe.method.name, seed: recipe.seed, runPath: path, recipe, classes, names, normalisation },
    trained: { epoch, step, epochs: recipe.train.epochs },
    shape: { channels, ...sides, fit },
    open: () => loadRun(path, reporter, checkpoint),
  };
}

/** The networks as the run began, before its first step. */
function randomControl(run: Subject, label: string): Subject {
  const { recipe, classes, shape } = run;
  return {
    ...run,
    ...{ label, runPath: null, trained: null, names: networkNames(recipe) },
    open: () => {
      const networks = createNetworks(recipe, { classes: classes.length, channels: shape.channels });
      for (const network of networks) network.eval();
      return {
        networks,
        dispose: () => {
          for (const network of networks) network.dispose();
        },
      };
    },
  };
}

/** `resnet20 x2`. */
function architectures({ recipe }: Subject): string {
  const models = recipe.networks.map(({ model }) => model);
  return [...new Set(models)]
    .map((model) => {
      const count = models.filter((other) => other === model).length;
      return count === 1 ? model : `${model} x${count}`;
    })
    .join(' + ');
}

function assertNoRepeats(runs: readonly Subject[]): void {
  const seen = new Map<string, Subject>();
  for (const run of runs) {
    const key = `${groupKey(run)} ${run.seed}`;
    const before = seen.get(key);
    if (before !== undefined) {
      throw new ProbeError(
        `${before.runPath ?? ''} and ${run.runPath ?? ''} are of the same recipe and seed ${run.seed}, so they say the same.`,
        'Leave one of them out.',
      );
    }
    seen.set(key, run);
  }
}

/** Equal for runs that differ in their seed only. */
function groupKey({ recipe }: Subject): string {
  const { networks, topology, method, train, data } = recipe;
  const content = { networks, topology, method, train, data: { ...data, path: null, cache: null } };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/** The method's name; with the recipe's, or a number, where several groups have the same method. */
function groupLabels(runs: readonly Subject[]): string[] {
  const groups = new Map<string, Subject>();
  for (const run of runs) if (!groups.has(groupKey(run))) groups.set(groupKey(run), run);
  const recipeName = ({ recipe }: Subject): string => recipe.name.replace(/-s\d+$/, '');
  const labels = new Map<string, string>();
  for (const [key, run] of groups) {
    const sameMethod = [...groups].filter(([, other]) => other.label === run.label);
    const sameName = sameMethod.filter(([, other]) => recipeName(other) === recipeName(run));
    const place = sameName.findIndex(([other]) => other === key);
    const number = sameName.length > 1 ? ` ${place + 1}` : '';
    labels.set(key, sameMethod.length === 1 ? run.label : `${run.label} (${recipeName(run)}${number})`);
  }
  return runs.map((run) => labels.get(groupKey(run)) ?? run.label);
}

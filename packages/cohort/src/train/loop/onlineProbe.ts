/**
 * Measures features during training by weighted nearest neighbours: no classifier is trained, so it shows what embeddings
 * are worth even if the classifier has learned nothing, or the method trains none.
 */
import { setImmediate } from 'node:timers/promises';
import { noGrad, ops, scope, Tensor, tensor } from '@cohort-ml/torch';
import type { BatchLoader } from '../../data/index.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import type { NetworkOutput } from '../../models/index.ts';
import { neighbourScores, unitRows, type Memory } from '../../evaluate/neighbours.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';

/** What it is measured on. */
export interface OnlineProbe {
  readonly settings: NonNullable<ResolvedRecipe['train']['probe']>;
  readonly classes: number;
  /** Training images without augmentation, whose labels are known. */
  readonly memory: BatchLoader;
  /** Images to classify: validation images where there are any, else test images. */
  readonly queries: BatchLoader;
}

/** Whether it is due after this epoch (from 1). */
export function isProbeDue({ settings }: OnlineProbe, epoch: number, epochs: number): boolean {
  return epoch === epochs || epoch % settings.everyEpochs === 0;
}

/**
 * Accuracies by name: `probe/NETWORK`, and `probe/concatenation` of all networks' embeddings side by side, each at length
 * 1. Nothing of the training changes.
 *
 * @param where ends the sentence of an error, e.g. `after epoch 3`
 * @returns null when it was stopped half-way
 * @throws {NotFiniteError} for embeddings that are not finite
 */
export async function probeOnline(
  probe: OnlineProbe,
  { networks, names, method, runNetworks }: Cohort,
  isStopping: () => boolean,
  where: string,
): Promise<Record<string, number> | null> {
  const measured = method.deployed ?? networks;
  const modes = measured.map((network) => network.training);
  const run = (images: Tensor): readonly Pick<NetworkOutput, 'embedding'>[] =>
    runNetworks?.(measured, images) ??
    measured.map((network) => ({ embedding: network.call(images).embedding }));
  const embed = async (loader: BatchLoader): Promise<Embedded | null> => {
    const parts: Part[] = [];
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      await setImmediate();
      if (isStopping()) return null;
      noGrad(() => {
        scope(() => {
          const { images, labels } = loader.batch(0, number);
          parts.push({
            labels: labels.toNumbers(),
            rows: run(images).map(({ embedding }) => embedding.to('float32').toNumbers()),
          });
        });
      });
    }
    return joined(parts, measured.length);
  };
  try {
    for (const network of measured) network.eval();
    const memory = await embed(probe.memory);
    const queries = memory === null ? null : await embed(probe.queries);
    if (memory === null || queries === null) return null;
    for (const [index, values] of [...memory.values, ...queries.values].entries()) {
      if (values.every(Number.isFinite)) continue;
      throw new NotFiniteError(
        `An embedding of ${names[index % names.length] ?? ''} was not finite ${where}`,
      );
    }
    return accuracies(probe, names, memory, queries);
  } finally {
    for (const [index, network] of measured.entries()) network.train(modes[index]);
  }
}

interface Part {
  readonly labels: readonly number[];
  /** For each network, `[B, D]` row by row. */
  readonly rows: readonly (readonly number[])[];
}

interface Embedded {
  readonly labels: readonly number[];
  /** For each network, `[N, D]` row by row. */
  readonly values: readonly Float32Array[];
}

function joined(parts: readonly Part[], networks: number): Embedded {
  return {
    labels: parts.flatMap(({ labels }) => labels),
    values: Array.from({ length: networks }, (_, index) =>
      Float32Array.from(parts.flatMap(({ rows }) => rows[index] ?? [])),
    ),
  };
}

function accuracies(
  { settings, classes }: OnlineProbe,
  names: readonly string[],
  memory: Embedded,
  queries: Embedded,
): Record<string, number> {
  return noGrad(() =>
    scope(() => {
      const table = ({ labels, values }: Embedded, index: number): Tensor => {
        const network = values[index] ?? new Float32Array();
        return Tensor.fromTypedArray(network, [labels.length, network.length / labels.length]);
      };
      const known = tensor([...memory.labels], 'int64');
      const truth = tensor([...queries.labels], 'int64');
      const { k, temperature } = settings;
      const accuracy = (given: Memory, features: Tensor): number =>
        neighbourScores(given, features, { classes, k, temperature })
          .argmax(1)
          .eq(truth)
          .to('float64')
          .mean()
          .item();
      const single = names.map((name, index): [string, number] => [
        `probe/${name}`,
        accuracy({ features: table(memory, index), labels: known }, table(queries, index)),
      ]);
      if (names.length === 1) return Object.fromEntries(single);
      const together = (given: Embedded): Tensor =>
        ops.cat(
          names.map((_, index) => unitRows(table(given, index))),
          1,
        );
      const joint = accuracy({ features: together(memory), labels: known }, together(queries));
      return Object.fromEntries([...single, ['probe/concatenation', joint]]);
    }),
  );
}

/** Puts together what `cohort.json` says of a run and its exported networks. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { IMAGE_RESIZE } from '../data/index.ts';
import type { LoadedRun } from '../inference/loadRun.ts';
import { at } from '../support/at.ts';
import { mapMeasures } from '../support/score.ts';
import type { ExportEntry } from './entries.ts';
import {
  inputName,
  type ExportManifest,
  type ManifestInput,
  type ManifestPreprocessing,
} from './manifest.ts';
import type { Reference } from './reference.ts';

/** What transparent images are laid on. */
const background = '#ffffff';

/**
 * What the model files take.
 *
 * @param takesColour whether a network for grey images is to take colour and make luminance in the graph, as programs need it
 *   that only know colour
 */
export function describeInput({ checkpoint }: LoadedRun, takesColour: boolean): ManifestInput {
  const { channels, height, width } = checkpoint;
  return {
    name: inputName,
    channels: channels === 1 && !takesColour ? 1 : 3,
    height,
    width,
    range: [0, 255],
  };
}

function describePreprocessing({ checkpoint }: LoadedRun, input: ManifestInput): ManifestPreprocessing {
  const { normalisation, fit = 'fill', resize = IMAGE_RESIZE } = checkpoint;
  return {
    autoOrient: true,
    background,
    resize: { name: resize.filter, fit },
    luminance: input.channels === 1 ? 'ITU-R 601' : null,
    normalisation: 'graph',
    mean: normalisation.mean,
    std: normalisation.std,
  };
}

/** @param weights numbers in the graph, for an ensemble */
export function buildManifest(
  run: LoadedRun,
  entries: readonly ExportEntry[],
  input: ManifestInput,
  measured: { readonly reference: Reference; readonly weights: number },
): ExportManifest {
  const { reader, recipe, checkpoint, checkpointName } = run;
  const { reference, weights } = measured;
  return {
    format: 'cohort-export',
    version: 1,
    cohort: cohortVersion(),
    created: new Date().toISOString(),
    run: {
      id: basename(reader.path),
      dataset: recipe.data.dataset,
      method: recipe.method.name,
      checkpoint: checkpointName,
      epoch: checkpoint.epoch,
      finished: reader.info.status === 'finished',
    },
    labels: checkpoint.classes,
    input,
    preprocessing: describePreprocessing(run, input),
    networks: entries.map((entry, index) => {
      const score = at(reference.scores, index);
      return {
        name: entry.name,
        kind: entry.kind,
        architecture: entry.architecture,
        parameters: entry.parameters ?? weights,
        multiplyAdds: entry.multiplyAdds,
        output: entry.output,
        embedding: entry.embedding,
        trained: {
          images: reference.labels.length,
          ...mapMeasures((measure) => score[measure]),
        },
      };
    }),
    models: [],
    files: {},
  };
}

/** From the package.json next to `src` and `dist`. */
export function cohortVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const isPackage = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  return isPackage && typeof parsed.version === 'string' ? parsed.version : 'unknown';
}

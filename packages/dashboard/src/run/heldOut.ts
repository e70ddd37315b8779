/** What the networks said about held-out images, from the run's records, as the API gives it. */
import { readEmbeddings, readPredictions, type HeldOutPredictions } from '@cohort-ml/runs';
import type { Embeddings, ImageProbabilities, Predictions } from '../api/types.ts';
import { alignTo, principalComponents } from '../embedding/index.ts';

/** Components that UMAP is given: it needs no more, and 2,048 columns would be megabytes. */
const COMPONENTS = 24;

/** Predictions of the test images, else of the validation images; null for a run without them. @throws RunError */
export function predictionsOf(folder: string): Predictions | null {
  const found = readEither(folder);
  if (found === null) return null;
  const { split, epoch, step, classes, networks, labels, predicted, confidence, names } = found;
  return {
    ...{ split, epoch, step, classes, networks, names },
    images: labels.length,
    labels: base64(Uint16Array.from(labels)),
    predicted: predicted.map((each) => base64(Int16Array.from(each))),
    confidence: confidence.map(base64),
  };
}

/** All probabilities of one image. @throws RunError */
export function probabilitiesOf(folder: string, index: number): ImageProbabilities | null {
  const found = readEither(folder);
  if (found === null || index < 0 || index >= found.labels.length) return null;
  const row = found.rows.indexOf(index);
  const classes = found.classes.length;
  if (row < 0) return { index, probabilities: null };
  return {
    index,
    probabilities: found.probabilities.map((each) =>
      Array.from(each.subarray(row * classes, (row + 1) * classes), (value) => value / 255),
    ),
  };
}

/** Embeddings after a step in two dimensions; null where there are none. @throws RunError */
export function embeddingsOf(folder: string, step: number): Embeddings | null {
  const found = readEmbeddings(folder, step);
  if (found === null) return null;
  const count = found.rows.length;
  const reduced = found.embeddings.map(({ width, values }) =>
    principalComponents(values, count, width, COMPONENTS),
  );
  const planes = reduced.map(({ scores, width }) =>
    Float64Array.from({ length: count * 2 }, (_, index) =>
      width > index % 2 ? (scores[(index >> 1) * width + (index % 2)] ?? 0) : 0,
    ),
  );
  const [first] = planes;
  return {
    split: found.split,
    step: found.step,
    epoch: found.epoch,
    classes: found.classes,
    networks: found.networks,
    rows: [...found.rows],
    labels: [...found.labels],
    points: planes.map((plane, index) =>
      Array.from(first === undefined || index === 0 ? plane : alignTo(first, plane), (value) =>
        Number(value.toPrecision(4)),
      ),
    ),
    components: reduced.map(({ scores, width }) => ({ width, values: base64(Float32Array.from(scores)) })),
    explained: reduced.map(({ shares }) => (shares[0] ?? 0) + (shares[1] ?? 0)),
  };
}

function readEither(folder: string): HeldOutPredictions | null {
  return readPredictions(folder, 'test') ?? readPredictions(folder, 'validation');
}

function base64(array: Uint8Array | Uint16Array | Int16Array | Float32Array): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');
}

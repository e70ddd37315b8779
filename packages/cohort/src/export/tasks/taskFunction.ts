/** A segmenter or detector as a function of raw images, which is both what is traced and what the exported files are compared with. */
import { noGrad, ops, scope, Tensor } from '@cohort-ml/torch';
import { BatchNormaliser } from '../../data/index.ts';
import { nearestName } from '../../support/nearestName.ts';
import { at } from '../../support/at.ts';
import { decodeBatchShifts, decodeDistances } from '../../transfer/boxes/coding.ts';
import type { DetectorOutput } from '../../transfer/detection/detections.ts';
import { Detector } from '../../transfer/detection/detector.ts';
import { Segmenter } from '../../transfer/segmentation/segmenter.ts';
import type { LoadedTaskRun } from '../../transfer/training/loadTaskRun.ts';
import { ExportError } from '../errors.ts';
import type { TracedOutput } from '../onnx/index.ts';
import { allNetworks, ensembleNetwork } from '../options.ts';
import type { TaskExportNetwork, TaskOutput } from './taskManifest.ts';

/** Probabilities below this are not told apart; their logarithms must be finite. */
const smallestProbability = 1e-12;

/** A network to export, or the ensemble. */
interface Entry {
  readonly name: string;
  /** Null for the ensemble. */
  readonly model: Segmenter | Detector | null;
  /** What comes after the names of its outputs. */
  readonly suffix: string;
}

/** What of a run is exported. */
export class TaskFunction {
  readonly #run: LoadedTaskRun;
  readonly #entries: readonly Entry[];
  readonly #normaliser: BatchNormaliser;

  /** @throws {ExportError} for networks that a graph cannot hold, and for a name that the run does not have */
  constructor(run: LoadedTaskRun, network: string | undefined) {
    this.#run = run;
    this.#entries = chooseEntries(run, network);
    this.#normaliser = new BatchNormaliser(run.checkpoint.normalisation);
  }

  /** @param images raw, 0 to 255, `[B, 3, H, W]` */
  call(images: Tensor): TracedOutput[] {
    return noGrad(() =>
      scope(() => {
        const normalised = this.#normaliser.apply(images);
        const outputs = new Map<unknown, TracedOutput[]>();
        const own = (model: Segmenter | Detector, suffix: string): TracedOutput[] => {
          const found =
            outputs.get(model) ??
            (model instanceof Segmenter
              ? [{ name: 'logits', tensor: model.call(normalised).logits.to('float32') }]
              : detectorOutputs(model, model.call(normalised)));
          outputs.set(model, found);
          return found.map(({ name, tensor }) => ({ name: `${name}${suffix}`, tensor }));
        };
        return this.#entries.flatMap(({ model, suffix }) =>
          model === null
            ? [{ name: `logits${suffix}`, tensor: this.#ensemble((each) => own(each, '')) }]
            : own(model, suffix),
        );
      }),
    );
  }

  /** The logarithm of the mean of the probabilities, whose softmax over the classes is that mean. */
  #ensemble(run: (model: Segmenter) => readonly TracedOutput[]): Tensor {
    const probabilities = this.#run.models.map((model) => at(run(segmenterOf(model)), 0).tensor.softmax(1));
    const [first, ...others] = probabilities;
    if (first === undefined) throw new RangeError('TaskFunction: expected an ensemble of networks, got none');
    const sum = others.reduce((total, each) => total.add(each), first);
    return ops.log(sum.mul(1 / probabilities.length).clampMin(smallestProbability));
  }

  /** What the manifest says of each network. @param outputs of one call */
  describe(outputs: readonly TracedOutput[]): TaskExportNetwork[] {
    const { names, models, recipe } = this.#run;
    const shapes = new Map(outputs.map(({ name, tensor }) => [name, tensor.shape.slice(1)]));
    return this.#entries.map(({ name, model, suffix }) => {
      const all = models.reduce((sum, each) => sum + each.parameterCount(), 0);
      return {
        name,
        kind: model === null ? 'ensemble' : 'network',
        architecture:
          model === null ? 'mean of probabilities' : (recipe.networks[names.indexOf(name)]?.model ?? ''),
        parameters: model?.parameterCount() ?? all,
        outputs: meaningsOf(model).map(([output, meaning]): TaskOutput => {
          const own = `${output}${suffix}`;
          return { name: own, shape: shapes.get(own) ?? [], meaning };
        }),
      };
    });
  }

  /** Boxes of each pyramid level; empty for a segmenter. */
  levelCounts(images: Tensor): readonly number[] {
    const detector = this.#entries.map(({ model }) => model).find((model) => model instanceof Detector);
    if (detector === undefined) return [];
    return noGrad(() => scope(() => detector.call(this.#normaliser.apply(images)).levelCounts));
  }

  dispose(): void {
    this.#normaliser.dispose();
  }
}

/** Scores `[B, A, classes]` from 0 to 1 and boxes `[B, A, 4]` in pixels of the input. */
function detectorOutputs({ form }: Detector, output: DetectorOutput): TracedOutput[] {
  const { logits, shifts, centerness, anchors } = output;
  const probability = logits.sigmoid();
  const scores =
    centerness === null ? probability : probability.mul(centerness.sigmoid().unsqueeze(2)).sqrt();
  const own = Tensor.fromTypedArray(anchors, [anchors.length / 4, 4]);
  const boxes = form === 'fcos' ? decodeDistances(shifts, own) : decodeBatchShifts(shifts, own);
  return [
    { name: 'scores', tensor: scores },
    { name: 'boxes', tensor: boxes },
  ];
}

function meaningsOf(model: Entry['model']): [name: string, meaning: string][] {
  return model instanceof Detector
    ? [
        ['scores', 'score of every box for every class, 0 to 1'],
        ['boxes', 'x0, y0, x1, y1 of every box in pixels of the input; not cut off at its border'],
      ]
    : [
        [
          'logits',
          'scores of every pixel of the input for every class; softmax over the classes gives probabilities',
        ],
      ];
}

function segmenterOf(model: unknown): Segmenter {
  if (model instanceof Segmenter) return model;
  throw new ExportError('An ensemble of detectors cannot be exported. Name one of its networks, or all.');
}

function chooseEntries(run: LoadedTaskRun, network: string | undefined): Entry[] {
  const { names, models, recipe, path } = run;
  const exportable = models.map((model) => {
    if (model instanceof Segmenter || model instanceof Detector) return model;
    throw new ExportError(`${path} has the head ${recipe.task.head}, which this function does not run.`);
  });
  const isSegmentation = exportable.every((model) => model instanceof Segmenter);
  const wanted = network ?? bestNetwork(run);
  const entry = (name: string, suffix: string): Entry => ({
    name,
    model: name === ensembleNetwork ? null : at(exportable, names.indexOf(name)),
    suffix,
  });
  if (wanted === allNetworks) {
    const all = isSegmentation && names.length > 1 ? [ensembleNetwork, ...names] : names;
    return all.map((name, index) => entry(name, index === 0 ? '' : `_${name}`));
  }
  if (wanted === ensembleNetwork && !isSegmentation) segmenterOf(exportable[0]);
  if (wanted !== ensembleNetwork && !names.includes(wanted)) {
    const known = [...names, ...(isSegmentation ? [ensembleNetwork] : []), allNetworks];
    const nearest = nearestName(wanted, known);
    throw new ExportError(
      `The run has no network '${wanted}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`} Name one of ${known.join(', ')}.`,
    );
  }
  return [entry(wanted, '')];
}

/** On validation images, where they were measured with these weights; test images must not choose. */
export function bestNetwork({ names, checkpoint }: LoadedTaskRun): string {
  const validation = checkpoint.version === 1 ? null : checkpoint.training.scores.validation;
  const scores = validation?.networks.map(({ accuracy }) => accuracy) ?? [];
  return names[Math.max(0, scores.indexOf(Math.max(...scores)))] ?? '';
}

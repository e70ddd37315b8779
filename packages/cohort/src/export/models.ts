/** The model files of an export: traced once, written in every precision, and each run on the test images again. */
import { operatorsOf, encodeModel, opset, traceGraph, type Graph } from './onnx/index.ts';
import type { EntryFunction, ExportEntry } from './entries.ts';
import type { RawImages } from './images.ts';
import {
  inputName,
  modelPaths,
  type ManifestInput,
  type ManifestModel,
  type ManifestParity,
  type Precision,
} from './manifest.ts';
import { describeFile, type ExportedFile } from './folder.ts';
import { withFloat16Weights } from './onnx/float16.ts';
import type { ModelDescription } from './onnx/encode.ts';
import { measureParity } from './parity.ts';
import { quantise, type QuantisedGraph } from './quantise/calibrate.ts';
import type { WeightBits } from './quantise/rewrite.ts';
import type { Reporter } from '../progress/reporter.ts';
import type { Reference } from './reference.ts';
import { openRunners } from './runners.ts';

/** A model file with what was measured of it. */
export interface ExportedModel {
  readonly file: ExportedFile;
  readonly manifest: ManifestModel;
}

/** The entries as one graph. @param input what it takes; of colour where the networks take grey, it makes luminance itself */
export function traceEntries(
  entries: readonly ExportEntry[],
  run: EntryFunction,
  input: ManifestInput,
  networkChannels: number,
): Graph {
  const { channels, height, width } = input;
  const needsLuminance = channels !== networkChannels;
  return traceGraph({ name: inputName, shape: [channels, height, width] }, (images) => {
    const outputs = needsLuminance ? run.callInColour(images) : run.call(images);
    return entries.flatMap(({ output, embedding }, index) => {
      const result = outputs[index];
      if (result === undefined) return [];
      const features =
        embedding === null || result.embedding === null
          ? []
          : [{ name: embedding.output, tensor: result.embedding }];
      return [{ name: output, tensor: result.logits }, ...features];
    });
  });
}

/** What a model file is made from and measured on. */
export interface ModelTask {
  readonly graph: Graph;
  readonly entries: readonly ExportEntry[];
  readonly reference: Reference;
  readonly testImages: RawImages;
  /** Training images: the ranges of int8 are set by one part, and how is chosen by the other. */
  readonly calibration: readonly [RawImages, RawImages];
  readonly description: ModelDescription;
  readonly weightBits: WeightBits;
  readonly maximumLoss: number;
  /** Is told in words of what was chosen, and of a check that could not be independent. */
  readonly reporter: Pick<Reporter, 'message' | 'warning'>;
}

/** Makes one file and measures it. @throws {ExportError} when it does not give what the networks give */
export async function exportModel(precision: Precision, task: ModelTask): Promise<ExportedModel> {
  const { graph, quantisation } = await inPrecision(precision, task);
  const content = encodeModel(graph, task.description);
  const parity: ManifestParity[] = [];
  for (const runner of await openRunners(content, graph)) {
    if (!runner.readsFile) {
      task.reporter.warning(
        'Neither onnxruntime-node nor @cohort-ml/runtime is installed, so LibTorch checks the graph node by node and nobody reads the file. For an independent check: npm install onnxruntime-node --ignore-scripts',
      );
    }
    try {
      parity.push(
        await measureParity(runner, {
          precision,
          entries: task.entries,
          images: task.testImages,
          reference: task.reference,
          maximumLoss: task.maximumLoss,
        }),
      );
    } finally {
      await runner.dispose();
    }
  }
  const path = modelPaths[precision];
  return {
    file: { path, content },
    manifest: {
      ...{ precision, path },
      ...describeFile(content),
      opset,
      operators: operatorsOf(graph),
      parity,
      ...(quantisation === undefined ? {} : { quantisation }),
    },
  };
}

async function inPrecision(
  precision: Precision,
  { graph, entries, calibration, weightBits, reporter }: ModelTask,
): Promise<{ readonly graph: Graph; readonly quantisation?: ManifestModel['quantisation'] }> {
  switch (precision) {
    case 'float32':
      return { graph };
    case 'float16':
      return { graph: withFloat16Weights(graph) };
    case 'int8': {
      const [images, others] = calibration;
      const quantised = await quantise(
        graph,
        entries.map(({ output }) => output),
        { calibration: () => images.images(), selection: () => others.images(), weightBits },
      );
      reporter.message(describeChoice(quantised));
      return {
        graph: quantised.graph,
        quantisation: {
          calibrationImages: images.count,
          method: quantised.method,
          activations: 'uint8',
          weights: 'int8 per channel',
          weightBits,
        },
      };
    }
  }
}

/** Which way to set ranges was taken, and how near all of them are to float32. */
function describeChoice({ method, divergences }: QuantisedGraph): string {
  const all = Object.entries(divergences).map(([name, value]) => `${name} ${value.toExponential(1)}`);
  return `int8: ranges by ${method} (divergence from float32: ${all.join(', ')})`;
}

/** How many numbers of float32 a graph holds: weights and biases of all networks, those that they share once. */
export function weightsIn(graph: Graph): number {
  return [...graph.constants.values()]
    .filter(({ data }) => data instanceof Float32Array)
    .reduce((sum, { data }) => sum + data.length, 0);
}

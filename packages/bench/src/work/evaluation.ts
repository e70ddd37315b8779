/** One network over images in memory, through the functions that `evaluate` and training use. */
import { autocast, Generator, ops, saveTensors, scope, Tensor } from '@cohort-ml/torch';
import { BatchLoader } from 'cohort-ml/internal';
import { classProbabilities, evaluateCohort } from 'cohort-ml/internal';
import { multiplyAdds } from 'cohort-ml/internal';
import type { Network } from 'cohort-ml/internal';
import { createNetworks } from 'cohort-ml/internal';
import type { EvaluationWork, WorkSpec } from '../work.ts';
import { openOnnxSession, type OnnxSession } from './onnxSession.ts';
import { benchRecipe } from './recipe.ts';
import type { RunningWork } from './running.ts';

/** What the images are normalised with; the PyTorch side has the same. */
export const benchNormalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

/** Sets up a network and random images. */
export async function startEvaluation(spec: WorkSpec & EvaluationWork): Promise<RunningWork> {
  const { model, images: count, batch, classes, precision } = spec;
  const recipe = benchRecipe([model], { name: 'independent' }, precision);
  const networks = createNetworks(recipe, { classes, channels: 3 });
  for (const network of networks) network.eval();
  const generator = new Generator(0);
  const images = ops.randint(256, [count, 3, 32, 32], { generator, dtype: 'uint8' });
  const labels = Int32Array.from({ length: count }, (_, index) => index % classes);
  const loader = new BatchLoader(
    { images: images.toTypedArray() as Uint8Array, labels, count },
    {
      shape: { channels: 3, height: 32, width: 32 },
      batchSize: batch,
      normalisation: benchNormalisation,
      channelsLast: recipe.train.channelsLast,
    },
  );
  const [first] = networks;
  if (spec.usesOnnxRuntime === true && first !== undefined) {
    const sizes = { parameters: first.parameterCount(), multiplyAdds: multiplyAdds(first, [3, 32, 32]) };
    const session = await openOnnxSession(first, [3, 32, 32], spec.threads);
    const run = (): Promise<Readonly<Record<string, number>>> => evaluateSession(session, loader);
    return { ...sizes, version: session.version, run };
  }
  return {
    parameters: networks.reduce((sum, network) => sum + network.parameterCount(), 0),
    multiplyAdds: networks.reduce((sum, network) => sum + multiplyAdds(network, [3, 32, 32]), 0),
    run: async () => {
      if (precision === 'bfloat16') return evaluateInBfloat16(networks, loader);
      const { networks: scores } = await evaluateCohort(networks, loader);
      return { ...scores[0] };
    },
    save: (path) => {
      const entries = networks.flatMap((network) => [...network.stateDict()]);
      const named = entries.map(([name, value]): [string, Tensor] => [`network.0.${name}`, value]);
      const wide = Tensor.fromTypedArray(BigInt64Array.from(labels, BigInt));
      saveTensors(path, [...named, ['images', images], ['labels', wide]]);
    },
  };
}

/** The same measures from ONNX Runtime's logits; images come from the same loader. */
async function evaluateSession(
  session: OnnxSession,
  loader: BatchLoader,
): Promise<Readonly<Record<string, number>>> {
  let right = 0;
  let surprise = 0;
  for (let number = 0; number < loader.batchCount; number += 1) {
    const { images, labels } = loader.batch(0, number);
    const count = images.shape[0] ?? 0;
    const pixels = scope(() => images.contiguous({ memoryFormat: 'contiguous' }).toTypedArray());
    const logits = await session.run(pixels as Float32Array, count);
    scope(() => {
      const scores = Tensor.wrapTypedArray(logits, [count, logits.length / count]).logSoftmax(1);
      right += scores.argmax(1).eq(labels).sum().item();
      surprise -= scores.gather(1, labels.unsqueeze(1)).sum().item();
    });
    images.dispose();
    labels.dispose();
  }
  return { accuracy: right / loader.imageCount, negativeLogLikelihood: surprise / loader.imageCount };
}

/** Evaluation itself is always in float32; autocast around it, as around a training step, is what a user may add. */
function evaluateInBfloat16(
  networks: readonly Network[],
  loader: BatchLoader,
): Readonly<Record<string, number>> {
  let right = 0;
  let surprise = 0;
  for (let number = 0; number < loader.batchCount; number += 1) {
    scope(() => {
      const { images, labels } = loader.batch(0, number);
      const [probabilities = images] = autocast(() => classProbabilities(networks, images));
      right += probabilities.argmax(1).eq(labels).sum().item();
      surprise -= probabilities.gather(1, labels.unsqueeze(1)).clampMin(1e-12).log().sum().item();
    });
  }
  return { accuracy: right / loader.imageCount, negativeLogLikelihood: surprise / loader.imageCount };
}

/** Widths of a network's feature maps, for modules that are built on them: found by running one small black image. */
import { noGrad, ops, scope } from '@cohort-ml/torch';
import type { Network } from './network.ts';
import { at } from '../support/at.ts';

/** An image of the fewest pixels that the network takes; its channels are those that the first convolution takes. */
function probe<Result>(network: Network, run: (image: ReturnType<typeof ops.zeros>) => Result): Result {
  const wasTraining = network.training;
  const stem = [...network.namedTensors()].find(([, { shape }]) => shape.length === 4)?.[1];
  const side = network.totalStride;
  try {
    // Running statistics must not see this image.
    network.eval();
    return noGrad(() => scope(() => run(ops.zeros([1, stem?.shape[1] ?? 1, side, side]))));
  } finally {
    network.train(wasTraining);
  }
}

/** Channels of the feature map after every stage. */
export function stageChannels(network: Network): number[] {
  return probe(network, (image) => network.callWithStages(image).stages.map(({ shape }) => at(shape, 1)));
}

/** Channels of the feature map after the stem and so many stages. */
export function trunkChannels(network: Network, stages: number): number {
  return probe(network, (image) => at(network.trunk(image, stages).features.shape, 1));
}

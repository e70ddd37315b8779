/** The cost of a network: its multiply-adds, counted from the actual shapes of one forward pass. */
import { nn, noGrad, ops, scope, Tensor } from '@cohort-ml/torch';
import { at } from '../support/at.ts';

/** Channels, height and width of an image. */
export type InputShape = readonly [channels: number, height: number, width: number];

/**
 * Multiply-adds of convolutions and linear layers for one image; everything else is left out, as is the custom.
 *
 * Each output position of such a layer costs as many multiply-adds as the layer has weights.
 */
export function multiplyAdds(network: nn.Module<Tensor, unknown>, shape: InputShape): number {
  const wasTraining = network.training;
  let total = 0;
  network.eval();
  try {
    scope(() => {
      noGrad(() => {
        nn.observeCalls(
          (layer, output) => {
            const isCounted = layer instanceof nn.Conv2d || layer instanceof nn.Linear;
            if (!isCounted || !(output instanceof Tensor)) return;
            const outChannels = at(layer.weight.shape, 0);
            total += (output.numel / outChannels) * layer.weight.numel;
          },
          () => {
            // Nothing is returned: the scope would hand it on to the caller.
            network.call(ops.zeros([1, ...shape]));
          },
        );
      });
    });
  } finally {
    network.train(wasTraining);
  }
  return total;
}

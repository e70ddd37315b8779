/** Size and cost of each architecture, for choosing one: the content of `cohort models`. */
import { Generator } from '@cohort-ml/torch';
import { multiplyAdds } from './cost.ts';
import { createNetwork, findArchitecture, modelNames } from './registry.ts';

/** An architecture in numbers, for colour images. */
export interface ModelDescription {
  readonly name: string;
  readonly parameters: number;
  /** Of convolutions and linear layers, for one image. */
  readonly multiplyAdds: number;
  /** Channels, height and width that the numbers hold for; other sizes work too. */
  readonly inputShape: readonly [number, number, number];
  /** Classes that the numbers hold for. */
  readonly classes: number;
  readonly paper: string;
}

/** Every architecture: 100 classes for those of 32 by 32 pixels, 1000 for those of 224 by 224. */
export function describeModels(): ModelDescription[] {
  return modelNames().map((name) => {
    const { imageSize, paper } = findArchitecture(name);
    const classes = imageSize === 32 ? 100 : 1000;
    const inputShape = [3, imageSize, imageSize] as const;
    const network = createNetwork(name, { classes, channels: 3, generator: new Generator(0) });
    const cost = multiplyAdds(network, inputShape);
    const parameters = network.parameterCount();
    network.dispose();
    return { name, parameters, multiplyAdds: cost, inputShape, classes, paper };
  });
}

/**
 * Dilation in place of strides (Chen et al., arXiv 1706.05587): a classifier's last stages keep their resolution, and their
 * convolutions look as far as before by leaving places out. The weights stay what they are.
 */
import { nn } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import { TaskError } from '../errors.ts';

/** All modules inside of a module, itself included, in order of registration. */
export function* modulesIn(module: nn.AnyModule): Generator<nn.AnyModule> {
  yield module;
  for (const [, child] of module.namedChildren()) yield* modulesIn(child);
}

/** By what a stage divides the resolution. @throws {TaskError} where something other than a convolution does it */
function strideOf(stage: nn.AnyModule, network: Network): number {
  let stride = 1;
  for (const module of modulesIn(stage)) {
    if (module instanceof nn.Conv2d) stride = Math.max(stride, module.stride);
    else if ((module instanceof nn.MaxPool2d || module instanceof nn.AvgPool2d) && module.stride > 1) {
      throw new TaskError(
        `${network.constructor.name} halves its resolution by pooling, which cannot be dilated.`,
        'Leave task.outputStride out, or use a residual network.',
      );
    }
  }
  return stride;
}

/**
 * Changes a network so that its last map has at most this stride. As in torchvision, the convolution that loses its stride keeps
 * the dilation from before (MobileNet V3's does not), and those after it are dilated by what the stride was.
 *
 * @returns pixels between neighbours of the map after each stage
 * @throws {TaskError} where the network's own stride is no multiple of it, or it pools
 */
export function dilate(network: Network, outputStride: number | null): number[] {
  const own = network.stageModules.map((stage) =>
    outputStride === null ? plainStride(stage) : strideOf(stage, network),
  );
  const stem = network.totalStride / own.reduce((product, stride) => product * stride, 1);
  const inStrided = network.dilatesStridedConvolutions;
  let stride = stem;
  let dilation = 1;
  return network.stageModules.map((stage, index) => {
    const wanted = own[index] ?? 1;
    if (outputStride === null || stride * wanted <= outputStride) {
      stride *= wanted;
      if (dilation > 1) dilateStage(stage, dilation, dilation);
      return stride;
    }
    if (wanted > 1) dilateStage(stage, dilation, dilation * wanted, inStrided);
    else dilateStage(stage, dilation, dilation);
    dilation *= wanted;
    return stride;
  });
}

/** Of a stage that stays as it is; pooling is all right there. */
function plainStride(stage: nn.AnyModule): number {
  let stride = 1;
  for (const module of modulesIn(stage)) {
    const isStrided =
      module instanceof nn.Conv2d || module instanceof nn.MaxPool2d || module instanceof nn.AvgPool2d;
    if (isStrided) stride = Math.max(stride, module.stride);
  }
  return stride;
}

/** @param inStrided whether the convolution that loses its stride is dilated as those after it are */
function dilateStage(stage: nn.AnyModule, before: number, after: number, inStrided = false): void {
  let dilation = before;
  for (const module of modulesIn(stage)) {
    if (!(module instanceof nn.Conv2d)) continue;
    const isStrided = module.stride > 1;
    const [, , kernel = 1] = module.weight.shape;
    const own = isStrided ? (inStrided ? after : before) : dilation;
    if (isStrided && before !== after) {
      module.stride = 1;
      dilation = after;
    }
    if (kernel > 1) {
      module.padding *= own;
      module.dilation *= own;
    }
  }
}

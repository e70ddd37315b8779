/** Gradient clipping before an optimizer's step: by norm, for each network or for all at once, or entry by entry. */
import { noGrad, ops, scope, type nn, type Tensor } from '@cohort-ml/torch';

/** How gradients are clipped; the recipe's section. */
export interface ClippingSettings {
  readonly by: 'norm' | 'value';
  readonly maximum: number;
  readonly over: 'network' | 'all';
}

/** Clips the gradients of one training. */
export class GradientClipping {
  readonly #settings: ClippingSettings;
  readonly #groups: readonly (readonly nn.Parameter[])[];

  /**
   * @param modules the networks and the method's own modules; a layer that several share counts with the first
   * @param parameters what the optimizer steps; the others are left alone
   */
  constructor(
    settings: ClippingSettings,
    modules: readonly nn.AnyModule[],
    parameters: readonly nn.Parameter[],
  ) {
    this.#settings = settings;
    const left = new Set(parameters);
    const groups = modules.map((module) => module.parameters().filter((each) => left.delete(each)));
    this.#groups = settings.over === 'all' ? [[...parameters]] : [...groups, [...left]];
  }

  /**
   * Clips in place, as PyTorch's `clip_grad_norm_` and `clip_grad_value_` do: a group whose L2 norm is above the maximum
   * is multiplied by `maximum / (norm + 1e-6)`; by value, every entry is limited to [-maximum, maximum].
   *
   * @returns the L2 norm of all gradients before
   */
  apply(): number {
    const { by, maximum } = this.#settings;
    return noGrad(() =>
      scope(() => {
        let squares = 0;
        for (const group of this.#groups) {
          const gradients = group.flatMap(({ grad }): Tensor[] => (grad === null ? [] : [grad]));
          if (gradients.length === 0) continue;
          const norm = Math.sqrt(ops.stack(ops._foreachNorm(gradients), 0).square().sum().item());
          squares += norm * norm;
          if (by === 'value') for (const gradient of gradients) gradient.clamp_(-maximum, maximum);
          else if (norm > maximum) ops._foreachMul_(gradients, maximum / (norm + 1e-6));
        }
        return Math.sqrt(squares);
      }),
    );
  }
}

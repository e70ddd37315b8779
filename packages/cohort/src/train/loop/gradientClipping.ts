/** Gradient clipping before an optimizer's step: by norm, for each network or for all at once, or entry by entry. */
import { noGrad, ops, scope, tensor, type nn, type Tensor } from '@cohort-ml/torch';

/** How gradients are clipped; the recipe's section. */
export interface ClippingSettings {
  readonly by: 'norm' | 'value';
  readonly maximum: number;
  readonly over: 'network' | 'all';
}

/** L2 norms of gradients; null for parameters that have none. */
export type GradientNorms = (parameters: readonly nn.Parameter[]) => readonly (number | null)[];

/** Clips the gradients of one training. */
export class GradientClipping {
  readonly #settings: ClippingSettings;
  readonly #groups: readonly (readonly nn.Parameter[])[];
  readonly #norms: GradientNorms | undefined;

  /**
   * @param modules the networks and the method's own modules; a layer that several share counts with the first
   * @param parameters what the optimizer steps; the others are left alone
   * @param norms where some gradients are on other ranks: the norms of all
   */
  constructor(
    settings: ClippingSettings,
    modules: readonly nn.AnyModule[],
    parameters: readonly nn.Parameter[],
    norms?: GradientNorms,
  ) {
    this.#settings = settings;
    this.#norms = norms;
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
          const norms = this.#norms === undefined ? ownNorms(gradients) : normsOf(this.#norms(group));
          if (norms === null) continue;
          const norm = Math.sqrt(norms.square().sum().item());
          squares += norm * norm;
          if (gradients.length === 0) continue;
          if (by === 'value') for (const gradient of gradients) gradient.clamp_(-maximum, maximum);
          else if (norm > maximum) ops._foreachMul_(gradients, maximum / (norm + 1e-6));
        }
        return Math.sqrt(squares);
      }),
    );
  }

  /**
   * Clips alike without reading a norm, for gradients on a graphics card.
   *
   * @returns the L2 norm of all gradients before, float64 `[]`; null where there is no gradient
   */
  applyUnread(): Tensor | null {
    const { by, maximum } = this.#settings;
    return noGrad(() =>
      scope(() => {
        let squares: Tensor | null = null;
        for (const group of this.#groups) {
          const gradients = group.flatMap(({ grad }): Tensor[] => (grad === null ? [] : [grad]));
          const norms = ownNorms(gradients);
          if (norms === null) continue;
          const norm = norms.square().sum().to('float64').sqrt(); // []
          squares = squares === null ? norm.square() : squares.add(norm.square());
          if (by === 'value') {
            for (const gradient of gradients) gradient.clamp_(-maximum, maximum);
            continue;
          }
          const one = ops.onesLike(norm);
          const factor = ops.where(norm.gt(maximum), one.mul(maximum).div(norm.add(1e-6)), one);
          for (const gradient of gradients) gradient.mul_(factor);
        }
        return squares?.sqrt() ?? null;
      }),
    );
  }
}

function ownNorms(gradients: readonly Tensor[]): Tensor | null {
  return gradients.length === 0 ? null : ops.stack(ops._foreachNorm(gradients), 0);
}

function normsOf(norms: readonly (number | null)[]): Tensor | null {
  const present = norms.filter((norm) => norm !== null);
  return present.length === 0 ? null : tensor(present, 'float32');
}

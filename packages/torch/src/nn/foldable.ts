/** What a convolution and a normalisation must be to be folded into one; types only, so that modules need not know layers. */
import type { Tensor } from '../tensor.ts';

/** A convolution whose work a normalisation can take over. */
export interface FoldableConvolution {
  /** `[O, I / groups, K, K]` */
  readonly weight: Tensor;
  /** `[O]` */
  readonly bias: Tensor | null;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly groups: number;
  /** Set while a normalisation does this convolution with its own. */
  isTakenOver: boolean;
}

/** A normalisation that can take a convolution's work over. */
export interface FoldableNorm {
  /** False where it cannot. */
  fold(convolution: FoldableConvolution): boolean;
  /** Gives the convolution its work back. */
  unfold(): void;
}

/** A convolution and the normalisation that alone takes its output. */
export interface FoldablePair {
  readonly convolution: FoldableConvolution;
  readonly norm: FoldableNorm;
}

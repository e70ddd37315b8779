/** What the page does with a picture: every task shows its answer in a way of its own. */
import type { ImageSource } from '../classifier/decode.ts';
import type { Precision } from '../classifier/fields.ts';

/** An answer that is not shown yet. */
export interface Answer {
  show(): void;
  /** For screen readers. */
  readonly sentence: string;
  /** The same for answers that need not be announced again. */
  readonly key: string;
}

/** A loaded network with its part of the page. */
export interface View {
  readonly precision: Precision;
  answer(image: ImageSource): Promise<Answer>;
  /** Takes back what lies over the picture. */
  clear(): void;
  warmUp(): Promise<void>;
  dispose(): void;
}

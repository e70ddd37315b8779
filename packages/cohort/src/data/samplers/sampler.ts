/**
 * Samplers: which images make which batch. An epoch's order depends on (seed, epoch) alone, so there is no state to save:
 * a run that is resumed at (epoch, batch number) goes on as if it had never stopped.
 */
import { classBalancedOrder } from './classBalanced.ts';
import type { SamplerInput } from './input.ts';
import type { SamplerSettings } from './settings.ts';
import { shuffledOrder } from './shuffled.ts';

/** Positions of an epoch's images in the split, batch after batch, `[imageCount]`. */
export function epochOrder(settings: SamplerSettings, input: SamplerInput): Int32Array {
  switch (settings.name) {
    case 'shuffled':
      return shuffledOrder(input);
    case 'class-balanced':
      return classBalancedOrder(settings.imagesPerClass, input);
  }
}

/**
 * How often each image of an epoch came before in it, `[imageCount]`: whatever is drawn for an image is drawn anew for
 * every repeat.
 */
export function countRepeats(order: Int32Array): Int32Array {
  const seen = new Map<number, number>();
  return order.map((index) => {
    const before = seen.get(index) ?? 0;
    seen.set(index, before + 1);
    return before;
  });
}

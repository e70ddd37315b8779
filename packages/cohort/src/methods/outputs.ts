/** What methods that pass on logits do first: run the cohort, and take what it says in full precision. */
import type { Tensor } from '@cohort/torch';
import type { NetworkOutput } from '../models/index.ts';
import { inFullPrecision } from './precision.ts';

/** Logits of every network in float32, `[B, classes]` each: losses need more than bfloat16's two digits. */
export function logitsOf(outputs: readonly NetworkOutput[]): Tensor[] {
  return outputs.map(({ logits }) => inFullPrecision(logits));
}

/** Pooled features of every network in float32, `[B, D]` each. */
export function embeddingsOf(outputs: readonly NetworkOutput[]): Tensor[] {
  return outputs.map(({ embedding }) => inFullPrecision(embedding));
}

/** Settings of the terms between networks that learn without labels. */
import * as z from 'zod';
import { lossWeight, rampUpEpochs, softening } from '../parts/settings.ts';

/** Weights and temperature of the mutual terms; all weights are 1 as published for MoCo with MCL. */
export const mutualSettings = {
  weights: z
    .strictObject({
      /** Contrast inside each network. */
      vcl: lossWeight.default(1),
      /** Contrast with the embeddings of the other networks. */
      icl: lossWeight.default(1),
      softVcl: lossWeight.default(1),
      softIcl: lossWeight.default(1),
    })
    .prefault({}),
  ...softening(),
  /** Of the soft terms. */
  rampUpEpochs: rampUpEpochs(0),
};

/** The same, resolved. */
export type MutualSettings = z.output<z.ZodObject<typeof mutualSettings>>;

/** `simclr`: every network contrasts two views of each image inside the batch, by itself; the baseline of `simclr-mcl`. */
import * as z from 'zod';
import { defineMethod } from '../definition.ts';
import { StackedContrast, stackedSettings } from './stackedContrast.ts';

const simclrSettings = z.strictObject({ name: z.literal('simclr'), ...stackedSettings });

/** The method, for the registry. */
export const simclr = defineMethod({
  settings: simclrSettings,
  title: 'contrast of two views inside the batch (SimCLR)',
  paper: 'Chen et al. 2020, arXiv 2002.05709',
  equation: 'NT-Xent; without labels',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 1,
  training: 'projection heads',
  deployed: 'every network, with an untrained classifier',
  contrastsInBatch: true,
  isSelfSupervised: true,
  crossing: () => ['embedding'],
  create: (context, settings) => new StackedContrast(context, { ...settings, mutual: null }),
});

/** `moco`: every network learns by momentum contrast from two views of each image, by itself; the baseline of `moco-mcl`. */
import * as z from 'zod';
import { defineMethod } from '../definition.ts';
import { MomentumContrast, momentumSettings } from './momentumContrast.ts';

const mocoSettings = z.strictObject({ name: z.literal('moco'), ...momentumSettings });

/** The method, for the registry. */
export const moco = defineMethod({
  settings: mocoSettings,
  title: 'momentum contrast',
  paper: 'He et al. 2020, arXiv 1911.05722; v2: Chen et al. 2020, arXiv 2003.04297',
  equation: 'CE([q k, q queue] / tau, first); without labels',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 1,
  training: 'projection heads; key encoders; queues',
  deployed: 'every network, with an untrained classifier',
  isSelfSupervised: true,
  crossing: () => ['embedding'],
  create: (context, settings) => new MomentumContrast(context, { ...settings, mutual: null }),
});

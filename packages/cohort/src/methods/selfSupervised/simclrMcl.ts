/** `simclr-mcl`: contrast of two views inside the batch with mutual contrastive learning between the networks. */
import * as z from 'zod';
import { defineMethod } from '../definition.ts';
import { mutualSettings } from './mutualSettings.ts';
import { StackedContrast, stackedSettings } from './stackedContrast.ts';

const simclrMclSettings = z.strictObject({
  name: z.literal('simclr-mcl'),
  ...mutualSettings,
  ...stackedSettings,
});

/** The method, for the registry. */
export const simclrMcl = defineMethod({
  settings: simclrMclSettings,
  title: 'contrast of two views with mutual contrastive learning',
  paper: 'Yang et al. 2022, arXiv 2104.12565, on Chen et al. 2020, arXiv 2002.05709',
  equation: 'NT-Xent + ICL + soft VCL + soft ICL on stacked views; without labels',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'projection heads',
  deployed: 'every network, with an untrained classifier',
  contrastsInBatch: true,
  isSelfSupervised: true,
  crossing: () => ['embedding'],
  create: (context, settings) => new StackedContrast(context, { ...settings, mutual: settings }),
});

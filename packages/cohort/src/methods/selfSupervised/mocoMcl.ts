/** `moco-mcl`: momentum contrast with mutual contrastive learning between the networks (Yang et al., arXiv 2104.12565). */
import * as z from 'zod';
import { defineMethod } from '../definition.ts';
import { MomentumContrast, momentumSettings } from './momentumContrast.ts';
import { mutualSettings } from './mutualSettings.ts';

const mocoMclSettings = z.strictObject({
  name: z.literal('moco-mcl'),
  ...mutualSettings,
  ...momentumSettings,
});

/** The method, for the registry. */
export const mocoMcl = defineMethod({
  settings: mocoMclSettings,
  title: 'momentum contrast with mutual contrastive learning',
  paper: 'Yang et al. 2022, arXiv 2104.12565',
  equation: 'VCL + ICL + soft VCL + soft ICL on queries, keys and queues; without labels',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'projection heads; key encoders; queues',
  deployed: 'every network, with an untrained classifier',
  isSelfSupervised: true,
  crossing: () => ['embedding'],
  create: (context, settings) => new MomentumContrast(context, { ...settings, mutual: settings }),
});

/** Registers the three examples; imported before recipes are read, they can be named there like any built-in. */
import { registerArchitecture, registerDataset, registerMethod } from 'cohort-ml';
import { consensus } from './consensus.ts';
import { plainNet } from './plainNet.ts';
import { stripes } from './stripes.ts';

registerMethod(consensus);
registerArchitecture(plainNet);
registerDataset(stripes);

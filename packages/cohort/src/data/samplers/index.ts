/** Samplers: which images make which batch. */
export { countRepeats, epochOrder, type SamplerInput } from './sampler.ts';
export { samplerSettings, type SamplerSettings } from './settings.ts';

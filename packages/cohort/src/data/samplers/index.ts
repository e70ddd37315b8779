/** Samplers: which images make which batch. */
export type { SamplerInput } from './input.ts';
export { countRepeats, epochOrder } from './sampler.ts';
export { samplerSettings, type SamplerSettings } from './settings.ts';

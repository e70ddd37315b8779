/** How a cohort shares the layers of its networks. */
export type { SeparatedOutputs } from './separatedOutputs.ts';
export { Branches, lastStage, latestSplits, Tree } from './sharedLayers.ts';
export { Peers, type Topology } from './topology.ts';

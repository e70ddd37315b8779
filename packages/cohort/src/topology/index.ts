/** How a cohort shares the layers of its networks. */
export { SeparatedOutputs } from './separatedOutputs.ts';
export { Branches, lastStage, latestSplits, Tree } from './sharedLayers.ts';
export { imagesOf, Peers, type CohortBatch, type Topology } from './topology.ts';

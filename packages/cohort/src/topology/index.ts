/** How a cohort shares the layers of its networks. */
export { SeparatedOutputs } from './separatedOutputs.ts';
export { Branches, lastStage, latestSplits, Tree } from './sharedLayers.ts';
export { imagesOf, Peers, rowsOf, type CohortBatch, type Refine, type Topology } from './topology.ts';
export { DistributedPeers } from './distributed/distributedPeers.ts';
export {
  everyOutput,
  gatherOutputs,
  type CrossingOutput,
  type Distribution,
} from './distributed/distribution.ts';
export {
  BatchRows,
  exactRows,
  type RowGroup,
  type RowRange,
  type RowSettings,
} from './distributed/batchRows.ts';
export { Exchange, type FlatOutputs } from './distributed/exchange.ts';
export {
  evenPlacement,
  networkRanks,
  ownersOf,
  parsePlacement,
  PlacementError,
  placementText,
  type Placement,
} from './distributed/placement.ts';

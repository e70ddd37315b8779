/** What a run keeps of single images: predictions and embeddings of held-out ones, and digests of those that it was trained on. */
export { embeddingSteps, readEmbeddings, writeEmbeddings, type HeldOutEmbeddings } from './embeddings.ts';
export {
  readPredictions,
  writePredictions,
  type HeldOutPredictions,
  type HeldOutSplit,
} from './predictions.ts';
export { removeHeldOutAfter } from './removeAfter.ts';
export { readTrainedImages, TrainedImages, writeTrainedImages } from './trainedImages.ts';

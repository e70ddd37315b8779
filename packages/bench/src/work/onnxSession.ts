/** A network in ONNX Runtime, through our own export: what a user would run who does not stay in Node with our engine. */
import { createRequire } from 'node:module';
import { encodeModel, traceGraph, type Network } from 'cohort-ml/internal';

/** A network that ONNX Runtime has loaded. */
export interface OnnxSession {
  readonly version: string;
  /** `[B, C, H, W]` in order to logits `[B, classes]` in order. */
  run(pixels: Float32Array, batch: number): Promise<Float32Array>;
}

/** Traces a network in evaluation and loads it with so many threads. @throws where onnxruntime-node is not installed */
export async function openOnnxSession(
  network: Network,
  shape: [number, number, number],
  threads: number,
): Promise<OnnxSession> {
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const graph = traceGraph({ name: 'images', shape }, (images) => [
    { name: 'logits', tensor: network.call(images).logits },
  ]);
  const file = encodeModel(graph, { producerVersion: '', documentation: '', metadata: {} });
  const session = await InferenceSession.create(file, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return {
    version,
    run: async (pixels, batch) => {
      const { logits } = await session.run({ images: new Tensor('float32', pixels, [batch, ...shape]) });
      return logits?.data as Float32Array;
    },
  };
}

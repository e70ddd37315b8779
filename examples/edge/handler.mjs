/** A service without a file system: everything is given as bytes, and images come as pixels, since nothing decodes files. */
import { createClassifier, InferenceError } from '@cohort-ml/runtime';

const mostPixels = 1_000_000;

/**
 * @param {import('@cohort-ml/runtime').ExportedFiles} exported the exported folder in memory
 * @param {import('@cohort-ml/runtime').ClassifierOptions} [options] `kernels` where code may not be compiled at run time
 * @returns {(request: Request) => Promise<Response>} takes `POST ?width=W&height=H` with RGBA pixels, row by row
 */
export function createHandler(exported, options = {}) {
  /** Begun by the first request, and kept for those that follow. */
  let loading;
  return async (request) => {
    const { searchParams } = new URL(request.url);
    const [width, height] = ['width', 'height'].map((name) => Number(searchParams.get(name)));
    if (request.method !== 'POST' || !(width * height > 0) || width * height > mostPixels) {
      return Response.json(
        { error: `POST ?width=W&height=H with RGBA pixels, ${mostPixels} at most.` },
        { status: 400 },
      );
    }
    try {
      loading ??= createClassifier(exported, { ...options, mostPixels });
      const classifier = await loading;
      const data = new Uint8Array(await request.arrayBuffer());
      const predictions = await classifier.classify({ width, height, data, channels: 4 }, { top: 5 });
      return Response.json({ predictions });
    } catch (error) {
      if (error instanceof InferenceError) return Response.json({ error: error.message }, { status: 422 });
      throw error;
    }
  };
}

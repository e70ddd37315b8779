/** Puts the tensors of a file into a network, once all of them are known to fit. */
import { scope, type Tensor } from '@cohort-ml/torch';
import type { Network } from '../models/index.ts';
import { WeightsError } from './errors.ts';
import type { Fit } from './fit.ts';
import type { WeightsFile } from './weightsFile.ts';

/** Tensors are copied one by one: only one of them is held twice. @throws {WeightsError} `notFinite`, and as reading does */
export function copyWeights(
  network: Network,
  fit: Fit,
  file: WeightsFile,
  skip: (name: string) => boolean,
): void {
  for (const [name, source] of fit.pairs) {
    const stored = fit.dictionary.tensors.get(source);
    if (stored === undefined || skip(name)) continue;
    const tensor = stored.read();
    try {
      assertFinite(tensor, source, file.path);
      network.loadStateDict(new Map([[name, tensor]]), { strict: false });
    } finally {
      tensor.dispose();
    }
  }
}

function assertFinite(tensor: Tensor, name: string, path: string): void {
  if (scope(() => tensor.isfinite().all().item()) !== 0) return;
  throw new WeightsError('notFinite', {
    operation: `reading ${path}`,
    expected: 'weights that are finite numbers',
    received: `${name} with NaN or infinity in it`,
    remedy: 'That training had blown up: use an earlier checkpoint of it.',
  });
}

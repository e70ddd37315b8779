/** Puts the tensors of a file into a network, once all of them are known to fit. */
import { keep, scope, Tensor } from '@cohort-ml/torch';
import type { Network } from '../models/index.ts';
import { WeightsError } from './errors.ts';
import type { Fit } from './fit.ts';
import type { WeightsFile } from './weightsFile.ts';

/** Another order of the classes: row `order[i]` of the file is class `i` here. */
export interface ClassRows {
  readonly classifier: string;
  readonly order: readonly number[];
}

/** Tensors are copied one by one: only one of them is held twice. @throws {WeightsError} `notFinite`, and as reading does */
export function copyWeights(
  network: Network,
  fit: Fit,
  file: WeightsFile,
  skip: (name: string) => boolean,
  rows: ClassRows | null = null,
): void {
  for (const [name, source] of fit.pairs) {
    const stored = fit.dictionary.tensors.get(source);
    if (stored === undefined || skip(name)) continue;
    const read = stored.read();
    const tensor =
      rows === null || !name.startsWith(`${rows.classifier}.`) ? read : inOrder(read, rows.order);
    try {
      assertFinite(tensor, source, file.path);
      network.loadStateDict(new Map([[name, tensor]]), { strict: false });
    } finally {
      tensor.dispose();
    }
  }
}

function inOrder(tensor: Tensor, order: readonly number[]): Tensor {
  const rows = scope(() =>
    keep(tensor.indexSelect(0, Tensor.fromTypedArray(Int32Array.from(order)).to('int64'))),
  );
  tensor.dispose();
  return rows;
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

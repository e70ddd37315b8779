/** Contrastive losses alone, forward and backward, on random embeddings. */
import { backward, Generator, ops, scope, type Tensor } from '@cohort-ml/torch';
import { layerwiseContrast, mutualContrast, type ContrastTerms } from 'cohort-ml/internal';
import type { LossesWork, WorkSpec } from '../work.ts';
import type { RunningWork } from './running.ts';

const embeddingSize = 128;
const options = { temperature: 0.1, distillationTemperature: 3 };
/** As published. */
const weights: Readonly<Record<keyof ContrastTerms, number>> = { vcl: 0.1, icl: 0.1, softVcl: 1, softIcl: 1 };

/** Final-layer losses for one stage, layer-wise ones for several. */
export function startLosses({ networks, stages, batch, classes }: WorkSpec & LossesWork): RunningWork {
  const generator = new Generator(1);
  const unit = (): Tensor =>
    scope(() => {
      const raw = ops.randn([batch, embeddingSize], { generator });
      return raw.div(raw.norm(2, [1], true));
    });
  const embeddings = Array.from({ length: networks }, () => Array.from({ length: stages }, unit));
  const leaves = embeddings.flat();
  for (const leaf of leaves) leaf.requiresGrad = true;
  const labels = ops.randint(classes, [batch], { generator, dtype: 'int64' });
  const raw = ops.rand([batch, leaves.length, leaves.length], { generator });
  const match = raw.add(raw.transpose(1, 2)).div(2); // [B, E, E]
  const terms = (): ContrastTerms =>
    stages === 1
      ? mutualContrast(leaves, labels, options)
      : layerwiseContrast(embeddings, labels, match, options);
  return {
    run: () => {
      for (const leaf of leaves) leaf.grad = null;
      const values: Record<string, number> = {};
      const total = scope(() => {
        const weighted = Object.entries(terms()).map(([name, value]: [string, Tensor]) => {
          values[name] = value.item();
          return value.mul(weights[name as keyof ContrastTerms]);
        });
        return ops.stack(weighted, 0).sum();
      });
      backward(total);
      values.total = total.item();
      total.dispose();
      return values;
    },
  };
}

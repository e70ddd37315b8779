/**
 * Mutual Contrastive Learning at the last layer (Yang et al., arXiv 2104.12565, equation 10): cross-entropy of every
 * network, VCL and ICL on their embeddings, and the contrastive distributions passed on as soft VCL and soft ICL.
 */
import { autocast, type Tensor } from '@cohort/torch';
import { classification, logitDistillation, mutualContrast, rampUp } from '../losses/index.ts';
import { EmbeddingHeads } from './embeddingHead.ts';
import type { LossTerm, Method, MethodContext, StepInput } from './method.ts';
import type { MclSettings } from './settings.ts';

/** VCL this near to that of embeddings which say nothing counts as collapsed. */
const collapseMargin = 0.02;

function inFullPrecision(embedding: Tensor): Tensor {
  return embedding.dtype === 'bfloat16' ? embedding.to('float32') : embedding;
}

/** MCL with the batch as contrast samples. */
export class MutualContrastiveLearning implements Method {
  readonly modules: { readonly heads: EmbeddingHeads };
  readonly #networks: MethodContext['networks'];
  readonly #settings: MclSettings;

  constructor(context: MethodContext, settings: MclSettings) {
    this.#networks = context.networks;
    this.#settings = settings;
    const widths = context.networks.map((network) => network.embeddingSize);
    this.modules = { heads: new EmbeddingHeads(widths, settings.embeddingSize, context.generator) };
  }

  terms({ images, labels, epoch }: StepInput): Record<string, LossTerm> {
    const { weights, temperature, distillationTemperature, rampUpEpochs } = this.#settings;
    const outputs = this.#networks.map((network) => network.call(images));
    const logits = outputs.map((output) => output.logits);
    // Similarities are divided by a small temperature: bfloat16 would leave them two digits.
    const contrast = autocast(() => {
      const embeddings = this.modules.heads.call(outputs.map((output) => inFullPrecision(output.embedding)));
      return mutualContrast(embeddings, labels, { temperature, distillationTemperature });
    }, false);
    const soft = rampUp(epoch, rampUpEpochs);
    return {
      classification: { value: classification(logits, labels), weight: 1 },
      vcl: { value: contrast.vcl, weight: weights.vcl },
      icl: { value: contrast.icl, weight: weights.icl },
      softVcl: { value: contrast.softVcl, weight: weights.softVcl * soft },
      softIcl: { value: contrast.softIcl, weight: weights.softIcl * soft },
      ...(weights.logit === 0
        ? {}
        : {
            logit: {
              value: logitDistillation(logits, distillationTemperature),
              weight: weights.logit * soft,
            },
          }),
    };
  }

  diagnose(means: Readonly<Record<string, number>>, batchSize: number): string | undefined {
    const perNetwork = (means.vcl ?? 0) / this.#networks.length;
    const uninformed = Math.log(batchSize - 1);
    if (Math.abs(perNetwork - uninformed) > collapseMargin) return undefined;
    return `The embeddings say nothing yet: VCL is ${perNetwork.toFixed(3)} a network, and ln(B - 1) = ${uninformed.toFixed(3)} is what random ones give. If this lasts, set method.rampUpEpochs or lower method.weights.softVcl and softIcl.`;
  }
}

/** Networks' outputs as leaves, so that what was computed from them and the networks are differentiated one after the other. */
import { keep, type IndependentGraph, type Tensor } from '@cohort-ml/torch';
import { at } from '../support/at.ts';

/** Outputs of networks that were cut off from what was computed of them. Holds tensors until it is disposed of. */
export class SeparatedOutputs {
  /** By place of the network. */
  readonly #pairs = new Map<number, { readonly outputs: Tensor[]; readonly leaves: Tensor[] }>();

  /** The output as a leaf; itself where nothing is recorded. */
  separate(network: number, output: Tensor): Tensor {
    if (!output.requiresGrad) return output;
    const pair = this.#pairs.get(network) ?? { outputs: [], leaves: [] };
    this.#pairs.set(network, pair);
    const leaf = output.detach();
    leaf.requiresGrad = true;
    pair.outputs.push(keep(output.alias()));
    pair.leaves.push(keep(leaf.alias()));
    return leaf;
  }

  /** What is left to differentiate: one graph a network, of those whose outputs were used. */
  graphs(): IndependentGraph[] {
    return [...this.#pairs.values()].flatMap(({ outputs, leaves }) => {
      const used = outputs.flatMap((output, index) => {
        const gradient = at(leaves, index, 'the leaves').grad;
        return gradient === null ? [] : [{ output, gradient }];
      });
      if (used.length === 0) return [];
      return [{ outputs: used.map(({ output }) => output), gradients: used.map(({ gradient }) => gradient) }];
    });
  }

  dispose(): void {
    for (const { outputs, leaves } of this.#pairs.values()) {
      for (const tensor of [...outputs, ...leaves]) tensor.dispose();
    }
  }
}

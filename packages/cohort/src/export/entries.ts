/** What of a run is exported: networks and ensembles, and the function of images that each of them is. */
import { noGrad, ops, scope, Tensor } from '@cohort-ml/torch';
import { BatchNormaliser } from '../data/index.ts';
import type { LoadedRun } from '../inference/loadRun.ts';
import { multiplyAdds, type Network } from '../models/index.ts';
import { nearestName } from '../support/nearestName.ts';
import { ExportError } from './errors.ts';
import { logitsName } from './manifest.ts';
import { allNetworks, ensembleNetwork } from './options.ts';

/** Probabilities below this are not told apart; their logarithms must be finite. */
const smallestProbability = 1e-12;

/** A network or an ensemble to export. */
export interface ExportEntry {
  readonly name: string;
  readonly kind: 'network' | 'ensemble';
  readonly architecture: string;
  /** Null for an ensemble. */
  readonly network: Network | null;
  /** Null for an ensemble, whose networks may share layers: see the graph. */
  readonly parameters: number | null;
  readonly multiplyAdds: number;
  /** Name of its class scores among the graph's outputs. */
  readonly output: string;
  /** Name and width of its pooled features there. */
  readonly embedding: { readonly output: string; readonly size: number } | null;
}

/** Class scores of an entry, `[B, classes]`, and its pooled features, `[B, D]`. */
export interface EntryOutput {
  readonly logits: Tensor;
  readonly embedding: Tensor | null;
}

/**
 * The entries that a name stands for.
 *
 * @throws {ExportError} for a name that the run does not have, listing those that it has
 */
export function chooseEntries(run: LoadedRun, name: string | undefined): ExportEntry[] {
  const { names } = run;
  const wanted = name ?? bestNetwork(run);
  if (wanted === allNetworks) {
    return [ensembleNetwork, ...names].map((each, index) => createEntry(run, each, index === 0));
  }
  if (wanted !== ensembleNetwork && !names.includes(wanted)) {
    const known = [...names, ensembleNetwork, allNetworks];
    const nearest = nearestName(wanted, known);
    throw new ExportError(
      `The run has no network '${wanted}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`} Name one of ${known.join(', ')}.`,
    );
  }
  return [createEntry(run, wanted, true)];
}

/** By validation accuracy, where it was measured with the weights of this checkpoint; test images must not choose. */
function bestNetwork({ names, checkpoint }: LoadedRun): string {
  const validation = checkpoint.version === 1 ? null : checkpoint.training.scores.validation;
  const accuracies = validation?.networks.map(({ accuracy }) => accuracy) ?? [];
  const best = accuracies.indexOf(Math.max(...accuracies));
  return names[Math.max(0, best)] ?? '';
}

function createEntry(run: LoadedRun, name: string, isFirst: boolean): ExportEntry {
  const { names, networks, recipe, checkpoint } = run;
  const shape = [checkpoint.channels, checkpoint.height, checkpoint.width] as const;
  const output = isFirst ? logitsName : `${logitsName}_${name}`;
  if (name === ensembleNetwork) {
    return {
      ...{ name, kind: 'ensemble', network: null, parameters: null, output, embedding: null },
      architecture: run.ensemble === undefined ? 'mean of probabilities' : recipe.method.name,
      multiplyAdds: networks.reduce((sum, network) => sum + multiplyAdds(network, shape), 0),
    };
  }
  const index = names.indexOf(name);
  const network = networks[index];
  if (network === undefined) throw new ExportError(`The run has no network '${name}'.`);
  return {
    ...{ name, kind: 'network', network, output },
    architecture: recipe.networks[index]?.model ?? '',
    parameters: network.parameterCount(),
    multiplyAdds: multiplyAdds(network, shape),
    embedding: {
      output: isFirst ? 'embedding' : `embedding_${name}`,
      size: network.embeddingSize,
    },
  };
}

/** Shares of red, green and blue in luminance (ITU-R 601), as images are decoded for networks of one channel. */
const luminanceShares = [0.299, 0.587, 0.114];

/** The entries as one function of raw images, which is both what is traced and what the exported files are compared with. */
export class EntryFunction {
  readonly #run: LoadedRun;
  readonly #entries: readonly ExportEntry[];
  readonly #normaliser: BatchNormaliser;

  constructor(run: LoadedRun, entries: readonly ExportEntry[]) {
    this.#run = run;
    this.#entries = entries;
    this.#normaliser = new BatchNormaliser(run.checkpoint.normalisation);
  }

  /** As `call` of a network for grey images, from colour: `[B, 3, H, W]`. */
  callInColour(images: Tensor): EntryOutput[] {
    return noGrad(() =>
      scope(() => {
        const shares = Tensor.fromTypedArray(Float32Array.from(luminanceShares), [1, 3, 1, 1]);
        return this.call(images.mul(shares).sum([1], true));
      }),
    );
  }

  /** @param images raw, 0 to 255 as float32, `[B, C, H, W]` @returns one output an entry */
  call(images: Tensor): EntryOutput[] {
    return noGrad(() =>
      scope(() => {
        const normalised = this.#normaliser.apply(images).contiguous({ memoryFormat: 'channelsLast' });
        const needsAll = this.#entries.some(({ kind }) => kind === 'ensemble');
        const { networks } = this.#run;
        const used = needsAll ? networks : this.#entries.flatMap(({ network }) => network ?? []);
        const outputs = used.map((network) => network.call(normalised));
        return this.#entries.map(({ network }) => {
          if (network === null) return { logits: this.#ensemble(outputs, normalised), embedding: null };
          const output = outputs[used.indexOf(network)];
          if (output === undefined) throw new RangeError('EntryFunction: expected every network to have run');
          return { logits: output.logits, embedding: output.embedding };
        });
      }),
    );
  }

  /** The method's own logits, or the logarithm of the mean of the probabilities, whose softmax is that mean. */
  #ensemble(outputs: readonly ReturnType<Network['call']>[], normalised: Tensor): Tensor {
    const { ensemble } = this.#run;
    if (ensemble !== undefined) return ensemble.logits(outputs, normalised);
    const [first, ...others] = outputs.map(({ logits }) => logits.softmax(1));
    if (first === undefined)
      throw new RangeError('EntryFunction: expected an ensemble of networks, got none');
    const sum = others.reduce((total, each) => total.add(each), first);
    return ops.log(sum.mul(1 / outputs.length).clampMin(smallestProbability));
  }

  dispose(): void {
    this.#normaliser.dispose();
  }
}

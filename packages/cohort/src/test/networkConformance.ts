/** Test help: what every architecture must do, so that every method works on it; one suite for built-in and registered ones. */
import {
  autocast,
  backward,
  Generator,
  liveTensorCount,
  noGrad,
  scope,
  nn,
  type Tensor,
} from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelError } from '../models/errors.ts';
import type { Network } from '../models/network.ts';
import { createNetwork } from '../models/registry.ts';
import { expectClose, goldenImages } from './golden.ts';

const classes = 5;
const channels = 2;

function build(name: string, seed = 0): Network {
  return createNetwork(name, { classes, channels, generator: new Generator(seed) });
}

/** A batch of two, neither square nor a multiple of the strides. */
function smallImages({ totalStride }: Network): Tensor {
  return goldenImages(3, [2, channels, 2 * totalStride, 2 * totalStride + 3]);
}

function listing(module: nn.AnyModule): string[] {
  return [...module.stateDict()].map(([name, { shape }]) => `${name} [${shape.join(', ')}]`);
}

function evaluate(network: Network, images: Tensor): Tensor {
  return noGrad(() => network.eval().call(images).logits);
}

/** Statistics and weights of a normalisation as training leaves them: neither zero nor one. */
function spoil(network: nn.AnyModule): void {
  const generator = new Generator(1);
  noGrad(() => {
    for (const [name, tensor] of network.namedTensors()) {
      if (name.endsWith('running_mean')) tensor.normal_(0, 0.3, { generator });
      else if (name.endsWith('running_var')) tensor.uniform_(0.5, 2, { generator });
      else if (name.endsWith('weight') && tensor.shape.length === 1) tensor.uniform_(0.5, 1.2, { generator });
    }
  });
}

/**
 * The suite of one architecture.
 *
 * @param name of a registered architecture
 * @param foldable how many normalisations can be folded into the convolutions before them; not checked unless given
 */
export function describeNetwork(name: string, foldable?: number): void {
  describe(name, () => {
    let network: Network;
    let images: Tensor;

    beforeAll(() => {
      network = build(name);
      images = smallImages(network);
    });

    afterAll(() => {
      network.dispose();
      images.dispose();
    });

    it('gives logits, embedding and stages whose shapes chain, for images that are not square', () => {
      const { logits, embedding, stages } = noGrad(() => network.eval().callWithStages(images));
      expect(logits.shape).toEqual([2, classes]);
      expect(embedding.shape).toEqual([2, network.embeddingSize]);
      expect(network.classifier.weight.shape).toEqual([classes, network.embeddingSize]);
      expect(stages).toHaveLength(network.stageModules.length);
      expect(stages.length).toBeGreaterThanOrEqual(3);
      for (const [index, stage] of network.stageModules.entries()) {
        const before = stages[index - 1];
        if (before !== undefined)
          expectClose(
            noGrad(() => stage.call(before)),
            stages[index] ?? [],
          );
      }
      expect(stages.at(-1)?.shape[2]).toBe(2);
      expectClose(evaluate(network, images), logits);
    });

    it('makes fresh stages and final layers that take the output of the stage before', () => {
      const { stages } = noGrad(() => network.eval().callWithStages(images));
      const owned = new Set<Tensor>(network.stateDict().values());
      for (const [index, stage] of network.stageModules.entries()) {
        const fresh = network.createStage(index, new Generator(9));
        expect(listing(fresh)).toEqual(listing(stage));
        expect([...fresh.stateDict().values()].some((tensor) => owned.has(tensor))).toBe(false);
        const [weights, others] = [fresh, stage].map((module) => module.parameters().map(String));
        expect(weights).toEqual(others);
        const before = stages[index - 1];
        if (before !== undefined) {
          const output = noGrad(() => fresh.eval().call(before));
          expect(output.shape).toEqual(stages[index]?.shape);
          expect(output.toNumbers()).not.toEqual(stages[index]?.toNumbers());
        }
        fresh.dispose();
      }
      const last = stages.at(-1);
      if (last === undefined) throw new Error('no stages');
      const finished = network.createFinish?.(new Generator(9)).call(last) ?? last;
      expect(finished.shape[1]).toBe(network.embeddingSize);
      expect(() => network.createStage(stages.length, new Generator(9))).toThrow(
        `createStage: expected a stage from 0 to ${stages.length - 1}, got ${stages.length}.`,
      );
      expect(() => network.createStage(-1, new Generator(9))).toThrow(ModelError);
    });

    it('normalises by the batch in training, and by what it has seen in evaluation', () => {
      const before = evaluate(network, images).toNumbers();
      const trained = noGrad(() => network.train().call(images).logits.toNumbers());
      expect(trained.every(Number.isFinite)).toBe(true);
      expect(trained).not.toEqual(before);
      expect(evaluate(network, images).toNumbers()).not.toEqual(before);
    });

    it('passes a finite gradient to every parameter from a batch of two', () => {
      const { logits, stages } = network.train().callWithStages(images);
      expect(stages.every((stage) => stage.requiresGrad)).toBe(true);
      backward(logits.square().sum());
      const broken = network.namedParameters().filter(([, { grad }]) => {
        return grad === null || !Number.isFinite(grad.abs().sum().item());
      });
      expect(broken.map(([parameter]) => parameter)).toEqual([]);
      const reached = network.parameters().filter(({ grad }) => (grad?.abs().sum().item() ?? 0) > 0);
      expect(reached.length).toBeGreaterThan(network.parameters().length / 2);
      network.zeroGrad();
    });

    it('trains in bfloat16 and channels-last', () => {
      const copy = build(name).toMemoryFormat('channelsLast').train();
      scope(() => {
        const reordered = images.contiguous({ memoryFormat: 'channelsLast' });
        const { logits, stages } = autocast(() => copy.callWithStages(reordered));
        expect(new Set([logits, ...stages].map(({ dtype }) => dtype))).toEqual(new Set(['bfloat16']));
        backward(logits.to('float32').square().sum());
        const broken = copy.namedParameters().filter(([, { grad }]) => grad === null);
        expect(broken).toEqual([]);
        expect(logits.toNumbers().every(Number.isFinite)).toBe(true);
      });
      copy.dispose();
    });

    it('gives the same logits from its state dict, in channels-last memory and without leaking', () => {
      const expected = evaluate(network, images);
      const copy = build(name, 1);
      expect(copy.parameterCount()).toBe(network.parameterCount());
      copy.loadStateDict(network.stateDict());
      expect(evaluate(copy, images).toNumbers()).toEqual(expected.toNumbers());
      copy.toMemoryFormat('channelsLast');
      const reordered = images.contiguous({ memoryFormat: 'channelsLast' });
      expectClose(evaluate(copy, reordered), expected, 1e-3, 1e-4);
      const live = liveTensorCount();
      scope(() => {
        evaluate(copy, reordered);
      });
      expect(liveTensorCount()).toBe(live);
      copy.dispose();
    });

    it('takes images as small as its strides, and says so for smaller ones', () => {
      const side = network.totalStride;
      expect(evaluate(network, goldenImages(4, [1, channels, side, side])).shape).toEqual([1, classes]);
      expect(() => evaluate(network, goldenImages(4, [1, channels, side, side - 1]))).toThrow(
        `of at least ${side} by ${side} pixels, since its strides divide them by ${side}, got [1, ${channels}, ${side}, ${side - 1}].`,
      );
    });

    // The last: it changes the weights.
    it('gives the same logits with batch normalisation folded into its convolutions', () => {
      spoil(network.eval());
      scope(() => {
        const before = evaluate(network, images);
        const farthest = (other: Tensor): number =>
          other.to('float32').sub(before).abs().max().item() / before.abs().max().item();
        const folded = nn.foldBatchNorm(network);
        if (foldable !== undefined) expect(folded).toBe(foldable);
        expect(farthest(evaluate(network, images))).toBeLessThan(1e-5);
        const narrow = autocast(() => evaluate(network, images.contiguous({ memoryFormat: 'channelsLast' })));
        expect(narrow.dtype).toBe('bfloat16');
        expect(farthest(narrow)).toBeLessThan(0.1);
      });
    });

    it('gives the same bits by a plan', () => {
      scope(() => {
        nn.compile(network.eval());
        const single = images.narrow(0, 0, 1).contiguous({ memoryFormat: 'channelsLast' });
        const before = evaluate(network, single).toNumbers();
        evaluate(network, single);
        expect(network.planCount).toBe(1);
        expect(evaluate(network, single).toNumbers()).toEqual(before);
      });
    });

    it('gives each of several images the bits that it has alone', () => {
      noGrad(() => {
        scope(() => {
          const several = goldenImages(8, [5, ...images.shape.slice(1)]).contiguous({
            memoryFormat: 'channelsLast',
          });
          const alone = several.split(1, 0).map((image) => network.call(image).logits.toNumbers());
          expect(network.planCount).toBe(1);
          expect(network.callRows(several).logits.toNumbers()).toEqual(alone.flat());
        });
      });
    });
  });
}

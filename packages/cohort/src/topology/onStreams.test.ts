/** Networks that are given to streams of their own: the same outputs and gradients as one after the other. */
import { backward, cudaDevices, Generator, ops, scope, useDevice, type Tensor } from '@cohort-ml/torch';
import { afterEach, describe, expect, test } from 'vitest';
import type { Network, NetworkOutput, StageOutputs } from '../models/network.ts';
import { createNetwork } from '../models/registry.ts';
import { Peers, type Refine } from './topology.ts';

afterEach(() => {
  useDevice('cpu');
});

const devices = ['cpu', ...(cudaDevices().length > 0 ? ['cuda'] : [])];

function cohortOf(count: number): Network[] {
  return Array.from({ length: count }, (_, index) =>
    createNetwork('resnet8', { classes: 3, channels: 1, generator: new Generator(index) }),
  );
}

/** Pooled stages as embeddings, the network's own logits as those of all stages; notes the places it is asked for. */
function poolingInto(asked: number[]): Refine {
  return (outputs: readonly NetworkOutput[], places): StageOutputs[] => {
    asked.push(...places);
    return outputs.map(({ stages, logits }) => ({
      embeddings: stages.map((stage) => stage.mean([2, 3])),
      logits: stages.map(() => logits),
    }));
  };
}

/** Values and gradients of three networks of the same weights on the same images, each time. */
function trained(outputsOf: (topology: Peers, images: Tensor) => readonly Tensor[]): number[][] {
  const cohort = cohortOf(3);
  return scope(() => {
    const images = ops.randn([4, 1, 16, 16], { generator: new Generator(9) });
    const outputs = outputsOf(new Peers(cohort), images);
    backward(
      ops
        .stack(
          outputs.map((output) => output.square().mean()),
          0,
        )
        .sum(),
    );
    const gradients = cohort.flatMap((network) => network.parameters().flatMap(({ grad }) => grad ?? []));
    return [...outputs, ...gradients].map((tensor) => tensor.to({ device: 'cpu' }).toNumbers());
  });
}

describe.each(devices)('on %s', (device) => {
  test('networks', () => {
    useDevice(device);
    const [apart, inTurn] = [true, false].map((onStreams) =>
      trained((topology, images) =>
        topology.run({ images, onStreams }, true).flatMap(({ logits, stages }) => [logits, ...stages]),
      ),
    );
    expect(apart).toEqual(inTurn);
  });

  test('networks and what refines their stages, each for itself', () => {
    useDevice(device);
    const [apart, inTurn] = [true, false].map((onStreams) => {
      const asked: number[] = [];
      const values = trained((topology, images) =>
        topology
          .runRefined({ images, onStreams }, poolingInto(asked))
          .flatMap(({ embeddings }) => embeddings),
      );
      expect(asked).toEqual([0, 1, 2]);
      return values;
    });
    expect(apart).toEqual(inTurn);
  });
});

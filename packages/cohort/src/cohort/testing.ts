/** What tests of weights have in common: networks of small models, files with their tensors under other names, and errors. */
import { Generator, saveTensors, type Tensor } from '@cohort-ml/torch';
import { createNetwork, type Network } from '../models/index.ts';
import { WeightsError } from '../weights/index.ts';
import { loadPretrained, type Pretrained } from './pretrained.ts';

export function build(model: string, seed: number, classes = 10, channels = 3): Network {
  return createNetwork(model, { classes, channels, generator: new Generator(seed) });
}

/** Saves a network under other names; null leaves a tensor out. @returns the path */
export function save(path: string, network: Network, rename: (name: string) => string | null): string {
  const entries = [...network.stateDict()].flatMap(([key, value]): [string, Tensor][] => {
    const renamed = rename(key);
    return renamed === null ? [] : [[renamed, value]];
  });
  saveTensors(path, entries);
  return path;
}

export function load(network: Network, path: string, changes: object = {}): Pretrained {
  const { model } = { model: 'resnet8', ...changes };
  const classes = network.classifier.weight.shape[0] ?? 0;
  return loadPretrained(network, { path, model, ordinal: 0, channels: 3, classes, ...changes });
}

export function errorOf(body: () => unknown): WeightsError {
  try {
    body();
  } catch (error) {
    if (error instanceof WeightsError) return error;
    throw error;
  }
  throw new Error('expected a WeightsError, but nothing was thrown');
}

/** Names of kuangliu's and akamaster's residual networks. */
export function kuangliu(name: string): string {
  return name.replace('.downsample.', '.shortcut.').replace(/^classifier\./, 'linear.');
}

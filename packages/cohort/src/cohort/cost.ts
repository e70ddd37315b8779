/** What a cohort costs, for its run's summary: each network in use, what training needs besides the networks, peak memory. */
import { readFileSync } from 'node:fs';
import type { Tensor } from '@cohort-ml/torch';
import type { ImageShape } from '../data/index.ts';
import { multiplyAdds } from '../models/index.ts';
import type { Cohort } from './cohort.ts';

/** What one network costs in use. */
export interface NetworkCost {
  readonly parameters: number;
  /** Of convolutions and linear layers, for one image of the run's size. */
  readonly multiplyAdds: number;
}

/** Costs of a cohort. */
export interface CohortCost {
  /** One per network, in the cohort's order; the same whatever the method. */
  readonly networks: readonly NetworkCost[];
  /**
   * Parameters that are there in training only: of the method's own modules, and of trained networks besides those that are
   * kept (averages).
   */
  readonly trainingParameters: number;
  /** Most memory that this process has held so far, in bytes. */
  readonly peakMemoryBytes: number;
}

/** Counts them; the multiply-adds from one forward pass of each network. */
export function describeCost({ networks: plain, modules, method }: Cohort, shape: ImageShape): CohortCost {
  const networks = modules ?? plain;
  const own = new Set(networks.flatMap((network) => network.parameters()));
  const beside = [...Object.values(method.modules), ...(method.deployed ?? [])].flatMap((module) =>
    module.parameters(),
  );
  return {
    networks: networks.map((network) => ({
      parameters: network.parameterCount(),
      multiplyAdds: multiplyAdds(network, [shape.channels, shape.height, shape.width]),
    })),
    trainingParameters: distinct(beside.filter((parameter) => !own.has(parameter))).reduce(
      (sum, parameter) => sum + parameter.numel,
      0,
    ),
    peakMemoryBytes: peakMemoryBytes(),
  };
}

/** One of those that lie in the same memory: networks that share layers have tensors of their own over what they share. */
function distinct(parameters: readonly Tensor[]): Tensor[] {
  const found: Tensor[] = [];
  for (const parameter of parameters) {
    if (!found.some((other) => other.isSetTo(parameter))) found.push(parameter);
  }
  return found;
}

/** Of this process alone; `maxRSS`, where the system does not tell, is the same with what Node.js rounds. */
function peakMemoryBytes(): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

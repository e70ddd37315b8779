/** Adds up what ranks that share a batch have each computed of their rows: gradients in buckets, statistics and loss values. */
import { noGrad, ops, scope, Tensor, type nn } from '@cohort-ml/torch';
import type { Cohort } from '../../cohort/cohort.ts';
import type { RowGroup } from '../../topology/index.ts';
import { at } from '../../support/at.ts';

/** Bytes of a message: large enough that a message's delay does not count, small enough that little memory is copied at once. */
const bucketBytes = 8 * 1024 * 1024;

/** Tensors of one dtype, in messages of about the size of a bucket. */
function buckets(tensors: readonly Tensor[]): Tensor[][] {
  const full: Tensor[][] = [];
  const open = new Map<string, { tensors: Tensor[]; bytes: number }>();
  for (const tensor of tensors) {
    const bytes = tensor.numel * (tensor.dtype === 'float64' ? 8 : 4);
    const bucket = open.get(tensor.dtype);
    if (bucket !== undefined && bucket.bytes + bytes <= bucketBytes) {
      bucket.tensors.push(tensor);
      bucket.bytes += bytes;
      continue;
    }
    if (bucket !== undefined) full.push(bucket.tensors);
    open.set(tensor.dtype, { tensors: [tensor], bytes });
  }
  return [...full, ...[...open.values()].map((bucket) => bucket.tensors)];
}

/**
 * Replaces tensors by their sums over ranks times a factor, in place; the bits are the same on every rank.
 *
 * @param tensors float32 or float64, of the same shapes in the same order on every rank
 */
export function sumTensors(group: RowGroup, tensors: readonly Tensor[], factor = 1): void {
  noGrad(() => {
    for (const bucket of buckets(tensors)) {
      scope(() => {
        const flat = ops.cat(
          bucket.map((tensor) => tensor.detach().reshape([-1])),
          0,
        );
        group.allReduce(flat);
        if (factor !== 1) flat.mul_(factor);
        let start = 0;
        for (const tensor of bucket) {
          tensor.copy_(flat.narrow(0, start, tensor.numel).reshape([...tensor.shape]));
          start += tensor.numel;
        }
      });
    }
  });
}

/** Sums gradients over ranks, of the parameters that have one. @param factor that the sums are multiplied by */
export function sumGradients(group: RowGroup, parameters: Iterable<nn.Parameter>, factor = 1): void {
  const gradients = [...new Set(parameters)].flatMap(({ grad }) => (grad === null ? [] : [grad]));
  sumTensors(group, gradients, factor);
}

/**
 * The networks that run each parameter of a network: itself, and those whose own layers it stands for. Networks that share
 * layers keep theirs, which are not trained, in the same order of parameters.
 */
export function networksOf({
  networks,
  topology,
  modules,
}: Pick<Cohort, 'networks' | 'topology' | 'modules'>): Map<nn.Parameter, readonly number[]> {
  // Segmenters and detectors share nothing, and have no use for some layers of their networks.
  if (modules !== undefined) return new Map();
  const trained = new Set(topology.parameters());
  const users = new Map<nn.Parameter, readonly number[]>();
  /** By place among a network's parameters: that of the last network which has it for itself and those after it. */
  const lent = new Map<number, nn.Parameter>();
  for (const [network, module] of networks.entries()) {
    for (const [index, parameter] of module.parameters().entries()) {
      if (trained.has(parameter)) lent.set(index, parameter);
      const used = trained.has(parameter) ? parameter : (lent.get(index) ?? parameter);
      users.set(used, [...(users.get(used) ?? []), network]);
    }
  }
  return users;
}

/**
 * The parameters whose gradients ranks have parts of, in lists that are summed one after the other. Each has the parameters of
 * one network or module, or those that the same networks share: in which order ranks' numbers are added depends on the place in a
 * message and its length, which must not depend on who holds which networks.
 *
 * @param isWhole whether ranks have parts of all gradients, and not only of what runs on parts of the batch
 */
export function messagesOf(
  cohort: Pick<Cohort, 'networks' | 'method' | 'topology'>,
  isWhole: boolean,
): nn.Parameter[][] {
  const { networks, method } = cohort;
  const modules = [
    ...networks.flatMap((network, place) => [network, ...(method.ofNetworks?.[place] ?? [])]),
    ...Object.values(method.modules),
  ];
  const divided = new Set([...networks, ...(method.refining ?? [])].flatMap((module) => module.parameters()));
  const users = networksOf(cohort);
  const messages = new Map<string, nn.Parameter[]>();
  const taken = new Set<nn.Parameter>();
  for (const [place, module] of modules.entries()) {
    for (const parameter of module.parameters()) {
      if (taken.has(parameter) || !(isWhole || divided.has(parameter))) continue;
      taken.add(parameter);
      const key = `${place} ${(users.get(parameter) ?? []).join(',')}`;
      const message = messages.get(key) ?? [];
      message.push(parameter);
      messages.set(key, message);
    }
  }
  return [...messages.values()];
}

/**
 * Averages running statistics over ranks that normalise their own rows, so that all ranks continue with the same ones.
 *
 * @param own places of the networks that are run here
 */
export function averageStatistics(
  group: RowGroup,
  { networks, method }: Pick<Cohort, 'networks' | 'method'>,
  own: readonly number[],
): void {
  const refining = new Set<Tensor>((method.refining ?? []).flatMap((module) => module.parameters()));
  const modules = own.flatMap((place) => [
    at(networks, place, 'the networks'),
    ...(method.ofNetworks?.[place] ?? []).filter((module) =>
      module.parameters().some((parameter) => refining.has(parameter)),
    ),
  ]);
  for (const module of modules) {
    const statistics = [...module.stateDict()]
      .filter(([name]) => /(^|\.)running_(mean|var)$/.test(name))
      .map(([, tensor]) => tensor);
    sumTensors(group, statistics, 1 / group.size);
  }
}

/** Means of numbers over ranks; not finite where one is not. */
export function meanOfNumbers(group: RowGroup, numbers: readonly number[]): number[] {
  if (numbers.length === 0) return [];
  return scope(() => {
    const tensor = Tensor.fromTypedArray(Float64Array.from(numbers));
    group.allReduce(tensor);
    const sums = tensor.toNumbers();
    return numbers.map((_, index) => at(sums, index, 'the sums') / group.size);
  });
}

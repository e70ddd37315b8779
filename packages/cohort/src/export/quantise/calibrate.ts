/**
 * Quantises a graph by what its values are on training images, and chooses among the ways to set ranges the one whose
 * probabilities stay closest to those of the graph in float32, on training images that did not set the ranges.
 */
import { scope, type Tensor } from '@cohort-ml/torch';
import { withoutUnused, type Graph } from '../onnx/graph.ts';
import { GraphProgram } from '../onnx/interpreter.ts';
import { planQuantisation } from './plan.ts';
import {
  chooseRange,
  histogramBins,
  rangeMethods,
  type Observed,
  type Range,
  type RangeMethod,
} from './ranges.ts';
import { quantiseGraph, type WeightBits } from './rewrite.ts';

/** Batches of raw images `[B, C, H, W]`, made anew at every pass; whoever takes one releases it. */
export type ImageBatches = () => AsyncIterable<Tensor>;

/** How to quantise. */
export interface CalibrationOptions {
  /** Images that ranges are set by. */
  readonly calibration: ImageBatches;
  /** Images that the way is chosen by. */
  readonly selection: ImageBatches;
  readonly weightBits: WeightBits;
  /** One way, where it is not to be chosen. */
  readonly method?: RangeMethod;
}

/** A graph in 8 bits. */
export interface QuantisedGraph {
  readonly graph: Graph;
  readonly method: RangeMethod;
  /** Mean divergence of the probabilities from those in float32 on the selection images, for every way that was tried. */
  readonly divergences: Readonly<Partial<Record<RangeMethod, number>>>;
}

/** @param outputs names of the outputs that are class scores */
export async function quantise(
  graph: Graph,
  outputs: readonly string[],
  options: CalibrationOptions,
): Promise<QuantisedGraph> {
  const plan = planQuantisation(graph);
  const observed = await observe(graph, new Set(plan.rangeOf.values()), options.calibration);
  const build = (method: RangeMethod): Graph => {
    const ranges = new Map<string, Range>(
      Array.from(observed, ([name, each]) => [name, chooseRange(each, method)]),
    );
    return withoutUnused(quantiseGraph(graph, plan, ranges, options.weightBits));
  };
  const { method: wanted } = options;
  if (wanted !== undefined) return { graph: build(wanted), method: wanted, divergences: {} };
  const candidates = rangeMethods.map((method) => ({ method, graph: build(method) }));
  const measured = await divergencesOf(
    graph,
    candidates.map((candidate) => candidate.graph),
    outputs,
    options.selection,
  );
  const best = measured.indexOf(Math.min(...measured));
  const { method, graph: chosen } = candidates[best] ?? { method: 'min-max', graph: build('min-max') };
  const divergences = Object.fromEntries(
    candidates.map(({ method: name }, index) => [name, measured[index] ?? NaN]),
  );
  return { graph: chosen, method, divergences };
}

/** Looks at values twice: for their ends, and for how they lie between them. */
async function observe(
  graph: Graph,
  names: ReadonlySet<string>,
  batches: ImageBatches,
): Promise<Map<string, Observed>> {
  const ends = new Map<string, { lowest: number; highest: number }>();
  const program = new GraphProgram(graph);
  try {
    await eachBatch(batches, (images) => {
      program.run(images, (name, value) => {
        if (!names.has(name)) return;
        const before = ends.get(name) ?? { lowest: Infinity, highest: -Infinity };
        ends.set(name, {
          lowest: Math.min(before.lowest, value.min().item()),
          highest: Math.max(before.highest, value.max().item()),
        });
      });
    });
    const observed = new Map(
      Array.from(ends, ([name, range]): [string, Observed] => [
        name,
        { ...range, histogram: new Float64Array(histogramBins) },
      ]),
    );
    await eachBatch(batches, (images) => {
      program.run(images, (name, value) => {
        const each = observed.get(name);
        if (each === undefined || !(each.highest > each.lowest)) return;
        const counts = value.histc(histogramBins, each.lowest, each.highest).toNumbers();
        for (const [bin, count] of counts.entries()) each.histogram[bin] = (each.histogram[bin] ?? 0) + count;
      });
    });
    return observed;
  } finally {
    program.dispose();
  }
}

/** Mean over images and outputs of `KL(p || q)`, p in float32, for every candidate's q. */
async function divergencesOf(
  graph: Graph,
  candidates: readonly Graph[],
  outputs: readonly string[],
  batches: ImageBatches,
): Promise<number[]> {
  const programs = [graph, ...candidates].map((each) => new GraphProgram(each));
  const sums = candidates.map(() => 0);
  let count = 0;
  try {
    await eachBatch(batches, (images) => {
      const [exact, ...others] = programs.map((program) => {
        const results = program.run(images);
        return outputs.flatMap((name) => results.get(name)?.logSoftmax(1) ?? []);
      });
      count += (images.shape[0] ?? 0) * outputs.length;
      for (const [index, candidate] of others.entries()) {
        for (const [output, approximate] of candidate.entries()) {
          const reference = exact?.[output];
          if (reference === undefined) continue;
          const divergence = reference.exp().mul(reference.sub(approximate)).sum().item();
          sums[index] = (sums[index] ?? 0) + divergence;
        }
      }
    });
  } finally {
    for (const program of programs) program.dispose();
  }
  return sums.map((sum) => sum / Math.max(1, count));
}

async function eachBatch(batches: ImageBatches, body: (images: Tensor) => void): Promise<void> {
  for await (const images of batches()) {
    try {
      scope(() => {
        body(images);
      });
    } finally {
      images.dispose();
    }
  }
}

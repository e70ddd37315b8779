/**
 * Faster and Mask R-CNN as one graph for one image: the parts that compute on maps are traced, and what lies between them, the choice of
 * boxes, is written in ONNX's own operators (TopK, NonMaxSuppression, RoiAlign of operator set 16).
 */
import type { Stages } from '@cohort-ml/runtime';
import { ops, Tensor, type nn } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { decodeBatchShifts } from '../../transfer/boxes/coding.ts';
import type { DetectionChoice } from '../../transfer/detection/detections.ts';
import { codeWeights, type Rcnn } from '../../transfer/detection/rcnn/rcnn.ts';
import { traceGraph, type Graph } from '../onnx/index.ts';
import { GraphAssembly } from './graphAssembly.ts';

/** Of two proposals that overlap by more than this, the likelier stays. */
const proposalOverlap = 0.7;
/** Least sides of proposals and objects in pixels. */
const leastProposal = 1e-3;
const leastObject = 1e-2;
/** Widths and heights grow at most by this factor. */
const greatestGrowth = Math.log(1000 / 16);
/** Score of what must not be chosen. */
const never = -1e9;
const [boxSide, maskSide] = [7, 14];

/** What the graph is made for. */
export interface TwoStageOptions {
  readonly model: Rcnn;
  readonly input: { readonly name: string; readonly shape: readonly [number, number, number] };
  /** From raw images to those that the model takes. */
  readonly normalise: (images: Tensor) => Tensor;
  readonly classes: number;
  readonly choice: DetectionChoice;
}

/** Input for the height and width of the picture inside of the images, `[2]`. */
export const sizeInput = 'picture_size';

/** The graph, and its parts for programs that compute them one by one and choose boxes in between. */
export interface TwoStageGraph {
  readonly graph: Graph;
  readonly stages: Stages;
}

/** Outputs `boxes` `[N, 4]`, `scores` and `labels` `[N]`, and `masks` `[N, 28, 28]` where there are any. */
export function twoStageGraph({ model, input, normalise, classes, choice }: TwoStageOptions): TwoStageGraph {
  const graph = new GraphAssembly({ ...input, first: 1 }, [{ name: sizeInput, shape: [], first: 2 }]);
  const bounds = graph.add('Gather', [sizeInput, graph.wholes([1, 0, 1, 0])], { axis: 0 });
  let levelCounts: readonly number[] = [];
  const first = traceGraph(input, (images) => {
    const output = model.call(normalise(images));
    ({ levelCounts } = output);
    const anchors = Tensor.fromTypedArray(output.anchors, [output.anchors.length / 4, 4]);
    return [
      { name: 'objectness', tensor: output.objectness },
      { name: 'proposals', tensor: decodeBatchShifts(output.shifts, anchors) },
      ...output.levels.map((tensor, level) => ({ name: `level_${level}`, tensor })),
    ];
  });
  graph.join(first, 'first', input.name);
  const strides = model.backbone.levelStrides.slice(0, -1);
  const pooling = new Pooling(graph, strides);
  const { proposals, order } = chooseProposals(graph, levelCounts, bounds, model);
  const widthOfLevels = at(at(first.outputs, 2, 'the levels').shape, 0);
  const places = placesOf(graph, pooling.pool(proposals, order, boxSide), widthOfLevels);
  graph.join(boxHeadGraph(model, widthOfLevels), 'second', places);
  const objects = chooseObjects(graph, proposals, bounds, classes, choice);
  graph.output('boxes', objects.boxes, [4]);
  graph.output('scores', objects.scores, []);
  graph.output('labels', objects.labels, []);
  const masks = addMasks(graph, model, { classes, width: widthOfLevels }, () =>
    pooling.pool(objects.boxes, objects.order, maskSide),
  );
  return {
    graph: graph.finish(),
    stages: {
      levelCounts,
      strides,
      ...model.proposalChoice,
      first: {
        objectness: 'first/objectness',
        proposals: 'first/proposals',
        levels: strides.map((_, level) => `first/level_${level}`),
      },
      second: { input: places, scores: 'second/scores', shifts: 'second/shifts' },
      third: masks,
    },
  };
}

/** Pooled regions `[R, C, 7, 7]` as places of a row, `[1, 49 C, 1, R]`: the box head is then 1x1 convolutions over all of them at once. */
function placesOf(graph: GraphAssembly, pooled: string, width: number): string {
  const rows = graph.add('Reshape', [pooled, graph.wholes([-1, width * boxSide ** 2])]);
  const columns = graph.add('Transpose', [rows], { perm: [1, 0] });
  return graph.named(graph.add('Unsqueeze', [columns, graph.wholes([0, 2])]), 'second/pooled');
}

/** Scores `[1, classes + 1, 1, R]` and shifts `[1, 4 (classes + 1), 1, R]` of places. */
function boxHeadGraph({ roiHeads: { boxHead, boxPredictor } }: Rcnn, width: number): Graph {
  const layer = ({ weight, bias }: nn.Linear, values: Tensor): Tensor =>
    ops.convolution2d(values, weight.reshape([...weight.shape, 1, 1]), bias, 1, 0, 1, 1);
  return traceGraph({ name: 'pooled', shape: [width * boxSide ** 2, 1, 2] }, (places) => {
    const hidden = layer(boxHead.fc7, layer(boxHead.fc6, places).relu()).relu();
    return [
      { name: 'scores', tensor: layer(boxPredictor.clsScore, hidden) },
      { name: 'shifts', tensor: layer(boxPredictor.bboxPred, hidden) },
    ];
  });
}

/** The output `masks`, of each object that of its class. @returns where the mask head begins and ends; null where there is none */
function addMasks(
  graph: GraphAssembly,
  { roiHeads: { maskHead, maskPredictor } }: Rcnn,
  { classes, width }: { readonly classes: number; readonly width: number },
  pool: () => string,
): Stages['third'] {
  if (maskHead === null || maskPredictor === null) return null;
  const pooled = graph.named(pool(), 'third/pooled');
  const shape = [width, maskSide, maskSide] as const;
  const traced = traceGraph({ name: 'pooled', shape }, (maps) => [
    { name: 'masks', tensor: maskPredictor.call(maskHead.call(maps)) },
  ]);
  graph.join(traced, 'third', pooled);
  const numbers = graph.floats(
    Array.from({ length: classes + 1 }, (_, index) => index - 1),
    [1, classes + 1],
  );
  const column = graph.add('Unsqueeze', ['labels', graph.wholes([1])]);
  const isOwn = graph.add('Cast', [graph.add('Equal', [column, numbers])], { to: 1 });
  const chosen = graph.add('Mul', ['third/masks', graph.add('Unsqueeze', [isOwn, graph.wholes([2, 3])])]);
  const logits = graph.add('ReduceSum', [chosen, graph.wholes([1])], { keepdims: 0 });
  graph.output('masks', graph.add('Sigmoid', [logits]), [2 * maskSide, 2 * maskSide]);
  return { input: pooled, masks: 'third/masks' };
}

/** Cuts boxes off at the border of the input. */
function clip(graph: GraphAssembly, boxes: string, bounds: string): string {
  return graph.add('Min', [graph.add('Max', [boxes, graph.floats([0], [])]), bounds]);
}

/** Low corners and sizes of boxes along their last axis. */
function cornersAndSizes(graph: GraphAssembly, boxes: string, axis: number): { low: string; size: string } {
  const low = graph.slice(boxes, axis, 0, 2);
  return { low, size: graph.add('Sub', [graph.slice(boxes, axis, 2, 4), low]) };
}

/** Scores, with one that is never chosen where a side is too short. */
function unlessSmall(
  graph: GraphAssembly,
  [boxes, axis]: readonly [string, number],
  scores: string,
  least: number,
): string {
  const { size } = cornersAndSizes(graph, boxes, axis);
  const shorter = graph.add('ReduceMin', [size], { axes: [axis], keepdims: 0 });
  const isLarge = graph.add('GreaterOrEqual', [shorter, graph.floats([least], [])]);
  return graph.add('Where', [isLarge, scores, graph.floats([never], [])]);
}

/** The likeliest proposals of the image `[R, 4]`, and their order, which has as many numbers. */
function chooseProposals(
  graph: GraphAssembly,
  levelCounts: readonly number[],
  bounds: string,
  model: Rcnn,
): { proposals: string; order: string } {
  const { before, after } = model.proposalChoice;
  const boxesOfLevels: string[] = [];
  const scoresOfLevels: string[] = [];
  let start = 0;
  for (const count of levelCounts) {
    let scores = graph.slice('first/objectness', 1, start, start + count); // [1, n]
    let boxes = graph.slice('first/proposals', 1, start, start + count); // [1, n, 4]
    if (count > before) {
      const [best, places] = graph.topK(scores, graph.wholes([before]), 1);
      scores = best;
      boxes = graph.add('Gather', [boxes, graph.squeeze(places, 0)], { axis: 1 });
    }
    boxes = clip(graph, boxes, bounds);
    const likely = unlessSmall(graph, [boxes, 2], scores, leastProposal);
    const kept = graph.add('NonMaxSuppression', [
      boxes,
      graph.add('Unsqueeze', [likely, graph.wholes([1])]),
      graph.wholes([count]),
      graph.floats([proposalOverlap], [1]),
      graph.floats([never / 10], [1]),
    ]); // [M, 3]: image, class, place
    const places = graph.column(kept, 2);
    boxesOfLevels.push(graph.add('Gather', [graph.squeeze(boxes, 0), places], { axis: 0 }));
    scoresOfLevels.push(graph.add('Gather', [graph.squeeze(likely, 0), places], { axis: 0 }));
    start += count;
  }
  const scores = graph.add('Concat', scoresOfLevels, { axis: 0 });
  const [, order] = graph.topK(scores, graph.atMost(scores, after), 0);
  const all = graph.add('Concat', boxesOfLevels, { axis: 0 });
  return { proposals: graph.add('Gather', [all, order], { axis: 0 }), order };
}

/** Boxes, scores and labels of the objects, the highest score first. */
function chooseObjects(
  graph: GraphAssembly,
  proposals: string,
  bounds: string,
  classes: number,
  { scoreThreshold, overlapThreshold, mostDetections }: DetectionChoice,
): { boxes: string; scores: string; labels: string; order: string } {
  const [byCentre, , bySize] = codeWeights;
  const rowsOf = (places: string): string =>
    graph.add('Transpose', [graph.add('Squeeze', [places, graph.wholes([0, 2])])], { perm: [1, 0] });
  const shifts = graph.add('Reshape', [rowsOf('second/shifts'), graph.wholes([-1, classes + 1, 4])]);
  const probability = graph.add('Softmax', [rowsOf('second/scores')], { axis: 1 });
  const { low, size } = cornersAndSizes(graph, proposals, 1);
  const half = graph.add('Mul', [size, graph.floats([0.5], [])]);
  const [centre, sides] = [graph.add('Add', [low, half]), size].map((value) =>
    graph.add('Unsqueeze', [value, graph.wholes([1])]),
  ) as [string, string];
  const moved = graph.add('Div', [graph.slice(shifts, 2, 0, 2), graph.floats([byCentre], [])]);
  const middle = graph.add('Add', [graph.add('Mul', [moved, sides]), centre]);
  const growth = graph.add('Div', [graph.slice(shifts, 2, 2, 4), graph.floats([bySize], [])]);
  const bounded = graph.add('Exp', [graph.add('Min', [growth, graph.floats([greatestGrowth], [])])]);
  const grown = graph.add('Mul', [graph.add('Mul', [bounded, sides]), graph.floats([0.5], [])]);
  const decoded = graph.add(
    'Concat',
    [graph.add('Sub', [middle, grown]), graph.add('Add', [middle, grown])],
    {
      axis: 2,
    },
  ); // [R, classes + 1, 4]
  const withoutBackground = graph.slice(clip(graph, decoded, bounds), 1, 1, classes + 1);
  const boxes = graph.add('Transpose', [withoutBackground], { perm: [1, 0, 2] }); // [classes, R, 4]
  const own = graph.add('Transpose', [graph.slice(probability, 1, 1, classes + 1)], { perm: [1, 0] });
  const scores = unlessSmall(graph, [boxes, 2], own, leastObject); // [classes, R]
  const count = graph.add('Shape', [graph.column(proposals, 0)]); // [1]
  // Each class is an image of a batch here: boxes of different classes do not suppress one another.
  const kept = graph.add('NonMaxSuppression', [
    boxes,
    graph.add('Unsqueeze', [scores, graph.wholes([1])]),
    count,
    graph.floats([overlapThreshold], [1]),
    graph.floats([scoreThreshold], [1]),
  ]);
  const [category, place] = [graph.column(kept, 0), graph.column(kept, 2)];
  const flat = graph.add('Add', [graph.add('Mul', [category, count]), place]);
  const likely = graph.add('Gather', [graph.add('Reshape', [scores, graph.wholes([-1])]), flat], { axis: 0 });
  const [best, order] = graph.topK(likely, graph.atMost(likely, mostDetections), 0);
  const rows = graph.add('Reshape', [boxes, graph.wholes([-1, 4])]);
  const chosen = graph.add('Gather', [flat, order], { axis: 0 });
  return {
    boxes: graph.add('Gather', [rows, chosen], { axis: 0 }),
    scores: best,
    labels: graph.add('Cast', [graph.add('Gather', [category, order], { axis: 0 })], { to: 1 }),
    order,
  };
}

/** Pools every box from every level, and keeps that of its own. */
class Pooling {
  readonly #graph: GraphAssembly;
  readonly #strides: readonly number[];

  constructor(graph: GraphAssembly, strides: readonly number[]) {
    this.#graph = graph;
    this.#strides = strides;
  }

  /** @param order whole numbers, one for each box @returns `[R, width, side, side]` */
  pool(boxes: string, order: string, side: number): string {
    const graph = this.#graph;
    const { size } = cornersAndSizes(graph, boxes, 1);
    const area = graph.add('Mul', [graph.slice(size, 1, 0, 1), graph.slice(size, 1, 1, 2)]); // [R, 1]
    const ratio = graph.add('Div', [graph.add('Sqrt', [area]), graph.floats([224], [])]);
    const binary = graph.add('Div', [graph.add('Log', [ratio]), graph.floats([Math.LN2], [])]);
    const least = Math.round(Math.log2(at(this.#strides, 0, 'the strides')));
    const level = graph.add('Clip', [
      graph.add('Floor', [graph.add('Add', [binary, graph.floats([4 + 1e-6], [])])]),
      graph.floats([least], []),
      graph.floats([least + this.#strides.length - 1], []),
    ]);
    const images = graph.add('Mul', [order, graph.wholes([0])]);
    return this.#strides
      .map((stride, index) => {
        const pooled = graph.add('RoiAlign', [`first/level_${index}`, boxes, images], {
          mode: { text: 'avg' },
          coordinate_transformation_mode: { text: 'output_half_pixel' },
          output_height: side,
          output_width: side,
          sampling_ratio: 2,
          spatial_scale: { float: 1 / stride },
        });
        const isOwn = graph.add('Equal', [level, graph.floats([least + index], [])]);
        const weight = graph.add('Unsqueeze', [graph.add('Cast', [isOwn], { to: 1 }), graph.wholes([2, 3])]);
        return graph.add('Mul', [pooled, weight]);
      })
      .reduce((sum, next) => graph.add('Add', [sum, next]));
  }
}

/** The parts of a two-stage detector's graph, as `cohort.json` names them. */
import { count, fields, list, text } from '../../classifier/fields.ts';

/**
 * A two-stage detector in parts, for programs that compute them one by one and choose boxes in between. Names are those of values in
 * the graph.
 */
export interface Stages {
  /** Anchors of each pyramid level, one level after another. */
  readonly levelCounts: readonly number[];
  /** Of the levels that regions are pooled from, the finest first, in pixels of the input. */
  readonly strides: readonly number[];
  /** Proposals of each level that count, and of the picture after suppression. */
  readonly before: number;
  readonly after: number;
  /** From the images: `objectness` `[1, anchors]`, `proposals` `[1, anchors, 4]` and the maps `[1, C, h, w]` of each level. */
  readonly first: {
    readonly objectness: string;
    readonly proposals: string;
    readonly levels: readonly string[];
  };
  /** From pooled proposals `[1, 49 C, 1, R]`: `scores` `[1, classes + 1, 1, R]` and `shifts` `[1, 4 (classes + 1), 1, R]`, the background first. */
  readonly second: { readonly input: string; readonly scores: string; readonly shifts: string };
  /** From pooled objects `[N, C, 14, 14]`: `masks` `[N, classes + 1, 28, 28]` before the sigmoid. Null where there are none. */
  readonly third: { readonly input: string; readonly masks: string } | null;
}

/** @throws {ModelFileError} for missing and senseless entries */
export function readStages(value: unknown): Stages {
  const where = 'choice.stages';
  const stages = fields(value, where);
  const [first, second] = [fields(stages.first, where), fields(stages.second, where)];
  const third = stages.third === null ? null : fields(stages.third, where);
  return {
    levelCounts: list(stages.levelCounts, where).map((anchors) => count(anchors, where)),
    strides: list(stages.strides, where).map((stride) => count(stride, where)),
    before: count(stages.before, where),
    after: count(stages.after, where),
    first: {
      objectness: text(first.objectness, where),
      proposals: text(first.proposals, where),
      levels: list(first.levels, where).map((level) => text(level, where)),
    },
    second: {
      input: text(second.input, where),
      scores: text(second.scores, where),
      shifts: text(second.shifts, where),
    },
    third: third && { input: text(third.input, where), masks: text(third.masks, where) },
  };
}

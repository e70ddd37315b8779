/** Reads what `cohort.json` says of the parts of a two-stage detector's graph. */
import { count, fields, list, text } from '../../classifier/fields.ts';

/** The parts; names are those of values in the graph. */
export interface Stages {
  /** Anchors of each pyramid level, one level after another. */
  readonly levelCounts: readonly number[];
  /** Of the levels that regions are pooled from, the finest first, in pixels of the input. */
  readonly strides: readonly number[];
  /** Proposals of each level that count, and of the picture after suppression. */
  readonly before: number;
  readonly after: number;
  readonly first: {
    readonly objectness: string;
    readonly proposals: string;
    readonly levels: readonly string[];
  };
  readonly second: { readonly input: string; readonly scores: string; readonly shifts: string };
  /** Null where there are no masks. */
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

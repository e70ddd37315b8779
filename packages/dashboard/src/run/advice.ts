/** What deserves a look in a run, in words, with what to do: from what the run has recorded, without computing any metric anew. */
import type { Advice, RunRow } from '../api/types.ts';
import type { RunTables } from '../columns/index.ts';

/** An effective rank below this is a collapse to almost one direction. */
const COLLAPSED_RANK = 2;
/** A rank that fell to this share of its best is worth a word. */
const FALLEN_RANK_SHARE = 0.5;

/** Uniformity is 0 where all embeddings are equal, and falls as they spread. */
const COLLAPSED_UNIFORMITY = -0.1;
const REMEDY =
  'Set method.rampUpEpochs to about half of the epochs, or lower method.weights.softVcl and softIcl.';

/** Advice on a run, the most urgent first. */
export function adviseOn(row: RunRow, tables: RunTables, log: string): Advice[] {
  return [...stateAdvice(row), ...collapseAdvice(tables, log), ...skippedAdvice(tables), ...warningsOf(log)];
}

function stateAdvice({ state, failure, problem }: RunRow): Advice[] {
  if (problem !== null) return [{ level: 'warning', text: problem }];
  if (state === 'failed') {
    return [{ level: 'warning', text: `The run failed: ${failure ?? 'the log says why'}.` }];
  }
  if (state === 'stopped') {
    return [
      {
        level: 'warning',
        text: 'The process that wrote this run is gone: it was killed, or the machine went down. The command below resumes it.',
      },
    ];
  }
  return [];
}

function collapseAdvice(tables: RunTables, log: string): Advice[] {
  const { columns } = tables.epochs;
  const found = [...columns].flatMap(([name, column]): Advice[] => {
    const [space = '', network = '', measure = ''] = name.split('/');
    const values = column.values.view();
    const last = values.at(-1) ?? NaN;
    if (space === 'embedding' && measure === 'effectiveRank') {
      const best = values.reduce((most, value) => (value > most ? value : most), -Infinity);
      if (last < COLLAPSED_RANK) {
        return [
          {
            level: 'warning',
            text: `The embeddings of ${network} have collapsed: their effective rank is ${last.toFixed(1)}. ${REMEDY}`,
          },
        ];
      }
      if (last < best * FALLEN_RANK_SHARE) {
        return [
          {
            level: 'notice',
            text: `The effective rank of ${network} fell from ${best.toFixed(1)} to ${last.toFixed(1)}. If accuracy falls too: ${REMEDY}`,
          },
        ];
      }
    }
    if (space === 'contrast' && measure === 'uniformity' && last > COLLAPSED_UNIFORMITY) {
      return [
        {
          level: 'warning',
          text: `In the space of contrast, ${network} gives all images nearly the same embedding (uniformity ${last.toFixed(3)}, where 0 is complete collapse): the contrastive terms teach nothing yet. ${REMEDY}`,
        },
      ];
    }
    return [];
  });
  if (found.length > 0) return found;
  if (![...columns.keys()].some((name) => /^embedding\/.+\/effectiveRank$/.test(name))) return [];
  const wasUninformative = /embeddings (?:say nothing yet|are uninformative)/i.test(log);
  return [
    {
      level: 'good',
      text: wasUninformative
        ? 'The embeddings were uninformative early on and have recovered.'
        : 'No collapse: the effective rank of every network is well above 1.',
    },
  ];
}

function skippedAdvice(tables: RunTables): Advice[] {
  const skipped = tables.steps.columns.get('skipped')?.length ?? 0;
  if (skipped === 0) return [];
  return [
    {
      level: 'warning',
      text: `${skipped} steps were skipped because loss or gradients were not finite. Lower train.optimizer.learningRate, or use train.precision float32.`,
    },
  ];
}

/** The newest warnings of the log. */
function warningsOf(log: string): Advice[] {
  const texts = log.split('\n').flatMap((line) => {
    const [, text] = /^\S+Z (?:warning:|WARNING) ?(.+)$/.exec(line) ?? [];
    return text === undefined ? [] : [text];
  });
  return [...new Set(texts)].slice(-5).map((text) => ({ level: 'notice', text }));
}

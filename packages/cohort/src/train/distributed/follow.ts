/** A training as every rank but the first sees it: the same steps, without a run folder. */
import { currentDevice } from '@cohort-ml/torch';
import { recipeSchema, type ResolvedRecipe } from '../../recipes/index.ts';
import type { ImageInfo, TrainingState } from '../../checkpoints/checkpointInfo.ts';
import { trainCohort, type LoopOutcome, type LoopProgress } from '../loop/loop.ts';
import { openSession, type Session, type SessionOpener, type TrainOptions } from '../run/session.ts';
import { DistributionError } from '../../cohort/distributionError.ts';
import { agreeOnTraining } from './agreement.ts';
import { planText, planTraining, type Plan } from './plan.ts';
import { silentRecorder } from './recorder.ts';
import type { Ranks } from './ranks.ts';
import { spreadState } from './spread.ts';

/** What the first rank tells the others before anything is built. */
export type SharedStart =
  /** A new run, for which every rank has read the recipe itself. */
  | { readonly kind: 'new' }
  /** A run that is resumed, of which the first rank alone needs the folder. */
  | {
      readonly kind: 'resumed';
      readonly recipe: unknown;
      readonly normalisation: ImageInfo['normalisation'] | null;
    }
  /** A run that was finished before. */
  | { readonly kind: 'finished' };

/** Where the first rank takes a run up again; null from the beginning. */
export interface SharedFrom {
  readonly progress: LoopProgress;
  readonly training: TrainingState;
}

/** How a rank's part ended. */
export type FollowerResult = Pick<LoopOutcome, 'status'>;

/** Options of a rank. */
export type RankOptions = TrainOptions & { readonly ranks: Ranks };

/** Tells all ranks, from the first, how the training starts; the others get what it said. */
export function shareStart(ranks: Ranks, start: SharedStart): SharedStart {
  return JSON.parse(ranks.group.broadcastText(JSON.stringify(start), 0)) as SharedStart;
}

/**
 * Compares the ranks and gives all of them what the first has restored; called once the session is there.
 *
 * @throws {DistributionError} where the ranks do not belong together, or compute on graphics cards
 */
export function joinTraining<From extends SharedFrom>(
  session: Session,
  { ranks, reporter }: Pick<RankOptions, 'ranks' | 'reporter'>,
  from: From | null,
): From | null {
  if (currentDevice() !== 'cpu') {
    throw new DistributionError(
      `Training on several ranks works on the CPU only, and this recipe computes on ${currentDevice()}. Set train.device to cpu, or train in one process with cohort train.`,
    );
  }
  const differing = agreeOnTraining(ranks.group, ranks.exchange.placement, session.provenance);
  for (const difference of differing) {
    reporter.warning(`the last digits may differ from a training in one process: ${difference}`);
  }
  if (ranks.isFirst) reporter.message(planText(planOf(session, ranks)));
  const shared = JSON.parse(ranks.group.broadcastText(JSON.stringify(from), 0)) as From | null;
  if (shared === null) return null;
  spreadState(ranks, session);
  return ranks.isFirst ? from : shared;
}

function planOf({ recipe, dataset, plan }: Session, { exchange, shards }: Ranks): Plan {
  if (plan !== undefined) return plan(exchange.placement);
  const { channels, height, width, train } = dataset;
  const input = { classes: dataset.classes.length, channels, height, width, trainingLabels: train.labels };
  return planTraining(recipe, exchange.placement, input, shards);
}

/**
 * Trains this rank's networks.
 *
 * @param own the recipe as this rank read it; null for a run that is resumed, whose recipe the first rank has
 * @param open builds what is trained; a classifier's session unless given
 * @throws {DistributionError} where the ranks do not belong together
 */
export async function followTraining(
  own: ResolvedRecipe | null,
  options: RankOptions,
  open: SessionOpener = openSession,
): Promise<FollowerResult> {
  const { ranks, reporter, signal } = options;
  const start = shareStart(ranks, { kind: 'new' });
  if (start.kind === 'finished') return { status: 'finished' };
  const recipe = start.kind === 'new' ? own : recipeSchema().parse(start.recipe);
  if (recipe === null) {
    throw new DistributionError(
      'This rank was started with --resume, and rank 0 without. Start all ranks with the same command.',
    );
  }
  const normalisation = start.kind === 'new' ? null : start.normalisation;
  const session = await open(recipe, options, normalisation === null ? null : { normalisation });
  try {
    const from = joinTraining(session, options, null as SharedFrom | null);
    return await trainCohort({
      ...session,
      recorder: silentRecorder({ ranks, session }),
      reporter,
      signal,
      ...(from === null ? {} : { from: from.progress }),
    });
  } finally {
    session.dispose();
  }
}

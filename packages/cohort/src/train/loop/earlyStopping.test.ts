/** When early stopping is over and which epoch it keeps, by score alone. */
import { describe, expect, it } from 'vitest';
import type { CohortScore } from '../../evaluate/accuracy.ts';
import { EarlyStopping, type EarlyStoppingSettings } from './earlyStopping.ts';

function score(...accuracies: number[]): CohortScore {
  const networks = accuracies.map((accuracy) => ({
    accuracy,
    topFiveAccuracy: 1,
    negativeLogLikelihood: 1 - accuracy,
    expectedCalibrationError: 0,
  }));
  const [ensemble] = networks;
  if (ensemble === undefined) throw new Error('expected a network');
  return { networks, ensemble, images: 1 };
}

/** The best epoch and the epoch after which it is over, of evaluations epoch by epoch. */
function follow(
  settings: Partial<EarlyStoppingSettings>,
  accuracies: readonly number[],
): { best: number | undefined; overAfter: number | null; bests: boolean[] } {
  let stopping = new EarlyStopping({ metric: 'accuracy', patience: 2, minimumImprovement: 0, ...settings });
  const bests: boolean[] = [];
  for (const [index, accuracy] of accuracies.entries()) {
    bests.push(stopping.observe(score(accuracy), index + 1, 10 * (index + 1)));
    // What a checkpoint holds is all that it needs.
    const state = JSON.parse(JSON.stringify(stopping.state)) as EarlyStopping['state'];
    stopping = new EarlyStopping(
      { metric: 'accuracy', patience: 2, minimumImprovement: 0, ...settings },
      state,
    );
    if (stopping.isOver) return { best: stopping.state?.bestEpoch, overAfter: index + 1, bests };
  }
  return { best: stopping.state?.bestEpoch, overAfter: null, bests };
}

describe('EarlyStopping', () => {
  it('is over when patience runs out, and keeps the first of equal scores', () => {
    expect(follow({}, [0.5, 0.6, 0.6, 0.55, 0.9])).toEqual({
      best: 2,
      overAfter: 4,
      bests: [true, true, false, false],
    });
    expect(follow({}, [0.1, 0.2, 0.15, 0.3, 0.4])).toMatchObject({ best: 5, overAfter: null });
  });

  it('waits on through gains that are too small, and keeps their networks all the same', () => {
    expect(follow({ minimumImprovement: 0.05 }, [0.5, 0.52, 0.54])).toMatchObject({ best: 3, overAfter: 3 });
    // Small gains add up against the last score that counted.
    expect(follow({ minimumImprovement: 0.05 }, [0.5, 0.53, 0.56, 0.57])).toMatchObject({ overAfter: null });
  });

  it('takes the likelihood as better the lower it is', () => {
    const metric = 'negative-log-likelihood';
    expect(follow({ metric }, [0.5, 0.6, 0.4, 0.3])).toMatchObject({ best: 2, overAfter: 4 });
  });

  it('goes by the mean of the networks', () => {
    const stopping = new EarlyStopping({ metric: 'accuracy', patience: 1, minimumImprovement: 0 });
    stopping.observe(score(0.2, 0.6), 1, 1);
    expect(stopping.observe(score(0.1, 0.8), 2, 2)).toBe(true);
    expect(stopping.describe()).toContain('was 2 (mean accuracy 45.00%)');
  });
});

/** `cohort pretrain`: proposals for pictures without labels, the training that follows, and what is refused. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { PictureSurvey } from '../../data/folder/survey.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import type { TrainResult } from '../../train/run/run.ts';
import type { CommandActions } from '../contracts.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();
const folder = mkdtempSync(join(tmpdir(), 'cohort-pretrain-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const classes = [
  { name: 'cat', count: 50 },
  { name: 'dog', count: 50 },
];
const survey: PictureSurvey = {
  ...{ path: folder, images: 1000, classes, unlabelledImages: 900, trainingImages: 980 },
  ...{ hasTestSplit: false, shorterSide: 100, height: 64, width: 64 },
};

function resultOf(name: string, status: TrainResult['status'] = 'finished'): TrainResult {
  const accuracies = { testAccuracy: name === 'second' ? 0.75 : null };
  return {
    ...{ status, runFolder: `runs/${name}`, seconds: 3, imagesPerSecond: 9 },
    networks: [{ name: 'resnet8', ...accuracies }],
    ensemble: accuracies,
    ...(name === 'second'
      ? {}
      : {
          selfSupervised: {
            hasNeighbours: false,
            spread: { alignment: 0.25, uniformity: -1.5, effectiveRank: 12.5 },
          },
        }),
  };
}

/** Actions that remember the recipes that are trained. */
function remembering(
  recipes: ResolvedRecipe[],
  statuses: TrainResult['status'][] = [],
): Partial<CommandActions> {
  return {
    surveyPictures: () => Promise.resolve(survey),
    surveyImages: () => Promise.resolve({ ...survey, images: 100, trainingImages: 80 }),
    trainRun: (recipe) => {
      recipes.push(recipe);
      return Promise.resolve(
        resultOf(recipes.length === 1 ? 'first' : 'second', statuses[recipes.length - 1]),
      );
    },
  };
}

describe('cohort pretrain', () => {
  it('proposes momentum contrast between two networks, and says how to go on', async () => {
    const recipes: ResolvedRecipe[] = [];
    const { code, out } = await run(['pretrain', folder, 'train.epochs=30', 'method.queue=256'], () =>
      remembering(recipes),
    );
    expect(code).toBe(0);
    const [recipe] = recipes;
    expect(recipe?.method).toMatchObject({ name: 'moco-mcl', queue: 256, rampUpEpochs: 3 });
    expect(recipe?.data).toMatchObject({ dataset: 'unlabelled', path: folder, imageSize: 64 });
    expect(recipe?.data.augmentation).toMatchObject({
      resizedCrop: { scale: [0.2, 1] },
      horizontalFlip: true,
      colourJitter: { probability: 0.8 },
      greyscale: { probability: 0.2 },
      blur: { sigma: [0.1, 0.57] },
    });
    expect(recipe?.networks).toHaveLength(2);
    expect(out).toContain('The labels of 100 of them (2 classes) measure progress');
    expect(out).toContain('alignment of two views 0.2500 (0 is best), uniformity -1.500');
    expect(out).toContain(`cohort train ${folder} networks.0.weights=runs/first`);
    expect(out).toContain('cohort probe runs/first --data FOLDER');
    expect(out).not.toContain('not measured');
  });

  it('proposes settings of the method that is asked for', async () => {
    const recipes: ResolvedRecipe[] = [];
    for (const name of ['moco', 'simclr', 'simclr-mcl']) {
      const { err } = await run(['pretrain', folder, `method.name=${name}`], () => remembering(recipes));
      expect(err).toBe('');
    }
    expect(recipes.map(({ method }) => method)).toMatchObject([
      { name: 'moco', keyMomentum: 0.99 },
      { name: 'simclr', temperature: 0.2 },
      { name: 'simclr-mcl', temperature: 0.2, rampUpEpochs: 20 },
    ]);
  });

  it('--then-train goes on from the weights, with settings of its own', async () => {
    const recipes: ResolvedRecipe[] = [];
    const argv = [
      'pretrain',
      folder,
      'train.epochs=30',
      '--json',
      '--then-train',
      'train.epochs=7',
      'seed=5',
    ];
    const { code, out } = await run(argv, () => remembering(recipes));
    expect(code).toBe(0);
    const [first, second] = recipes;
    expect(second?.networks).toEqual(first?.networks.map(({ model }) => ({ model, weights: 'runs/first' })));
    expect(second?.data).toMatchObject({ dataset: 'folder', path: folder, imageSize: 64 });
    expect([second?.method.name, second?.train.epochs, second?.seed]).toEqual(['mcl', 7, 5]);
    expect([first?.train.epochs, first?.seed]).toEqual([30, 1]);
    expect(lastLine(out)).toMatchObject({
      runFolder: 'runs/second',
      ensemble: { testAccuracy: 0.75 },
      pretrained: { runFolder: 'runs/first' },
    });
  });

  it('does not begin the second training after one that was stopped', async () => {
    const recipes: ResolvedRecipe[] = [];
    const { out } = await run(['pretrain', folder, '--then-train', 'train.epochs=7'], () =>
      remembering(recipes, ['stopped']),
    );
    expect(recipes).toHaveLength(1);
    expect(out).toContain('to resume: cohort pretrain --resume runs/first --then-train train.epochs=7');
  });

  it('says what is wrong with the second training before the first', async () => {
    const recipes: ResolvedRecipe[] = [];
    const wrong = await run(['pretrain', folder, '--then-train', 'train.epoch=7'], () =>
      remembering(recipes),
    );
    expect(wrong.err).toMatch(/train\.epoch .*: unknown key, did you mean epochs/);
    const one = { ...survey, classes: classes.slice(1) };
    const { code, err } = await run(['pretrain', folder, '--then-train'], () => ({
      ...remembering(recipes),
      surveyImages: () => Promise.resolve(one),
    }));
    expect(code).toBe(2);
    expect(err).toMatch(/--then-train needs pictures of two or more classes, .* has 1\./);
    expect(recipes).toEqual([]);
  });

  it.each([
    [['pretrain'], 2, 'cohort pretrain needs a folder of images or a recipe, or --resume with a run'],
    [
      ['pretrain', 'small'],
      1,
      'expected a method that learns without labels (moco, moco-mcl, simclr, simclr-mcl), got mcl',
    ],
    [
      ['pretrain', 'small', 'method.name=moco', '--then-train'],
      2,
      '--then-train needs a folder of pictures, and this recipe has dataset fashion-mnist',
    ],
  ])('%j is refused', async (argv, expected, message) => {
    const { code, err } = await run(argv);
    expect(err).toContain(message);
    expect(code).toBe(expected);
  });
});

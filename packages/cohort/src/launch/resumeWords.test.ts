/** The command that takes a run up again keeps what still makes sense of the one that began it. */
import { describe, expect, it } from 'vitest';
import { resumedRun, resumeWords } from './resumeWords.ts';

describe('resumeWords', () => {
  it('leaves recipe and settings to the run', () => {
    const words = [
      'train',
      'demo',
      'train.epochs=3',
      '--strict',
      '--save-recipe',
      'a.yaml',
      '--quiet',
      '--stop-after',
      '2h',
    ];
    expect(resumeWords(words, 'runs/demo-1')).toEqual([
      'train',
      '--resume',
      'runs/demo-1',
      '--quiet',
      '--stop-after',
      '2h',
    ]);
  });

  it('names one run only where the first start resumed it already', () => {
    expect(resumeWords(['train', '--resume', 'runs/a', '--json', '--tensorboard=tb'], 'runs/a')).toEqual([
      'train',
      '--resume',
      'runs/a',
      '--json',
      '--tensorboard=tb',
    ]);
  });

  it('knows the run that is resumed', () => {
    expect(resumedRun(['train', '--resume', 'runs/a'])).toBe('runs/a');
    expect(resumedRun(['train', '--resume=runs/a'])).toBe('runs/a');
    expect(resumedRun(['train', 'demo'])).toBeNull();
  });
});

/** Scores by class from counts by hand, and the warning where accuracy hides classes. */
import { describe, expect, it } from 'vitest';
import { confusionCsv, confusionSvg } from './confusionFiles.ts';
import { confusionOf, mostFrequentMistakes, neverPredictedWarning } from './confusion.ts';

const classes = ['cat', 'dog, wild', '<fox>', 'owl'];
// 6 cats, 3 dogs and 1 fox; everything but one dog is taken for a cat, and one answer is no number.
const labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];
const predicted = [0, 0, 0, 0, 0, -1, 1, 0, 0, 0];
const confusion = confusionOf(labels, predicted, classes);

describe('a confusion', () => {
  it('counts what was taken for what', () => {
    expect(confusion.matrix).toEqual([
      [5, 0, 0, 0],
      [2, 1, 0, 0],
      [1, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
    expect(confusion.withoutAnswer).toBe(1);
  });

  it('gives accuracy, precision and F1 of each class, null where there is nothing to divide by', () => {
    expect(confusion.classes).toEqual([
      { name: 'cat', images: 6, predicted: 8, accuracy: 5 / 6, precision: 5 / 8, f1: 10 / 14 },
      { name: 'dog, wild', images: 3, predicted: 1, accuracy: 1 / 3, precision: 1, f1: 2 / 4 },
      { name: '<fox>', images: 1, predicted: 0, accuracy: 0, precision: null, f1: 0 },
      { name: 'owl', images: 0, predicted: 0, accuracy: null, precision: null, f1: null },
    ]);
  });

  it('lets each class with images count the same in balanced accuracy', () => {
    expect(confusion.balancedAccuracy).toBeCloseTo((5 / 6 + 1 / 3 + 0) / 3, 12);
    expect(confusionOf([], [], classes).balancedAccuracy).toBeNaN();
  });

  it('names classes that are never predicted, and not those without images', () => {
    expect(confusion.neverPredicted).toEqual(['<fox>']);
    const warning = neverPredictedWarning([{ name: 'ensemble', accuracy: 0.6, confusion }]);
    expect(warning).toBe(
      'ensemble never predicts 1 of 3 classes: <fox> (1 image). Its accuracy of 60.0% hides that; its balanced accuracy is 38.9%.',
    );
    const perfect = confusionOf([0, 1], [0, 1], ['a', 'b']);
    expect(neverPredictedWarning([{ name: 'ensemble', accuracy: 1, confusion: perfect }])).toBeNull();
  });

  it('lists the most frequent mistakes first', () => {
    expect(mostFrequentMistakes(confusion, 5)).toEqual([
      { actual: 'dog, wild', predicted: 'cat', images: 2 },
      { actual: '<fox>', predicted: 'cat', images: 1 },
    ]);
    expect(mostFrequentMistakes(confusion, 1)).toHaveLength(1);
  });
});

describe('a confusion as a file', () => {
  it('is CSV with quoted names', () => {
    expect(confusionCsv(confusion).split('\r\n')).toEqual([
      'actual \\ predicted,cat,"dog, wild",<fox>,owl',
      'cat,5,0,0,0',
      '"dog, wild",2,1,0,0',
      '<fox>,1,0,0,0',
      'owl,0,0,0,0',
      '',
    ]);
  });

  it('is SVG with a cell for each count, whose names are escaped', () => {
    const svg = confusionSvg(confusion, 'a & b');
    expect(svg).toContain('<title>dog, wild → cat: 2 of 3 (66.7%)</title>');
    expect(svg).toContain('<title>&lt;fox&gt; → cat: 1 of 1 (100.0%)</title>');
    expect(svg).toContain('a &amp; b');
    expect(svg).not.toContain('<fox>');
    expect(svg.match(/<title>[^<]+ of \d/g)).toHaveLength(4);
  });

  it('leaves numbers and names out where there is no room for them', () => {
    const many = Array.from({ length: 200 }, (_, index) => `class-${index}`);
    const each = Array.from({ length: 200 }, (_, index) => index);
    const svg = confusionSvg(confusionOf(each, each, many), 'many');
    expect(svg.match(/<rect/g)).toHaveLength(202);
    expect(svg.match(/<text/g)).toHaveLength(3);
  });
});

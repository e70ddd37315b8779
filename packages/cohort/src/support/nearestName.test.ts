/** Tests of the suggestions: typing errors are found, other words are left alone. */
import { describe, expect, it } from 'vitest';
import { editDistance, nearestName } from './nearestName.ts';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['kitten', 'sitting', 3],
    ['vlc', 'vcl', 1],
    ['ca', 'abc', 3],
    ['epochs', 'epochs', 0],
    ['résnet', 'resnet', 1],
    ['a😀b', 'ab', 1],
  ])('of %j and %j is %i, both ways', (left, right, distance) => {
    expect(editDistance(left, right)).toBe(distance);
    expect(editDistance(right, left)).toBe(distance);
  });
});

describe('nearestName', () => {
  const keys = ['name', 'learningRate', 'momentum', 'nesterov', 'weightDecay', 'batchSize'];

  it.each([
    ['learningRat', 'learningRate'],
    ['learning_rate', 'learningRate'],
    ['LEARNINGRATE', 'learningRate'],
    ['weigthDecay', 'weightDecay'],
    ['nmae', 'name'],
    ['batch', 'batchSize'],
  ])('finds what %j was meant to be', (name, meant) => {
    expect(nearestName(name, keys)).toBe(meant);
  });

  it.each(['colour', 'x', '', '-', 'temperature', 'lr'])('has nothing near %j', (name) => {
    expect(nearestName(name, keys)).toBeNull();
  });

  it('takes the nearer of two, and the first of two that are equally near', () => {
    expect(nearestName('resnet33', ['resnet8', 'resnet32', 'resnet20'])).toBe('resnet32');
    expect(nearestName('resnet', ['resnet8', 'resnet9'])).toBe('resnet8');
  });
});

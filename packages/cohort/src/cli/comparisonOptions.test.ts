/** Lists on the command line of a comparison are read with care. */
import { describe, expect, it } from 'vitest';
import { parseFractions, parseNames } from './comparisonOptions.ts';

describe('names of methods', () => {
  it('may have spaces around', () => {
    expect(parseNames('independent, mcl,')).toEqual(['independent', 'mcl']);
  });

  it.each(['', ',', ' , '])('are refused where there are none: %j', (text) => {
    expect(() => parseNames(text)).toThrow(/names with commas between, such as independent,dml,mcl/);
  });
});

describe('shares of the training images', () => {
  it('come in rising order', () => {
    expect(parseFractions('1, 0.25,0.5')).toEqual([0.25, 0.5, 1]);
  });

  it.each(['50%', '0', '1.5', '0.5,0.5', ''])('are refused: %j', (text) => {
    expect(() => parseFractions(text)).toThrow(/different shares above 0 and at most 1/);
  });
});

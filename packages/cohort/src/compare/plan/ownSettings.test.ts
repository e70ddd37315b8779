/** A reader of a report learns which settings of a method are not its defaults. */
import { describe, expect, it } from 'vitest';
import { methodSettings } from '../../methods/registry.ts';
import { describeSettings } from './ownSettings.ts';

describe('settings apart from the defaults', () => {
  it.each([
    ['mcl', { name: 'mcl' }, null],
    ['again', { name: 'mcl' }, 'again is mcl'],
    ['mcl-logit', { name: 'mcl', weights: { logit: 1 } }, 'mcl-logit is mcl with weights.logit=1'],
    ['kdcl', { name: 'kdcl', teacher: 'linear', rampUpEpochs: 3 }, 'kdcl has teacher=linear, rampUpEpochs=3'],
    ['l-mcl', { name: 'l-mcl', meta: null }, 'l-mcl has meta=null'],
    ['l-mcl', { name: 'l-mcl', meta: { innerSteps: 1 } }, 'l-mcl has meta.innerSteps=1'],
    [
      'mcl',
      { name: 'mcl', memory: { positives: 1 } },
      'mcl has memory={"positives":1,"negatives":8192,"bankMomentum":0.5}',
    ],
  ])('are told of %s: %j', (label, method, told) => {
    expect(describeSettings(label, methodSettings().parse(method))).toBe(told);
  });
});

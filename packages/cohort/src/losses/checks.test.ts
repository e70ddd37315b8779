/** What losses refuse: every message names the loss, what it expects and what it got. */
import { ops } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { rowDivergence } from './distillation.ts';
import {
  attendedDistillation,
  discrimination,
  fooling,
  logitDistillation,
  LossError,
  peerAttention,
  softDivergence,
  targetDistillation,
} from './index.ts';

const zeros = (...shape: number[]) => ops.zeros(shape);

/** The message of the LossError that a call throws. */
function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(LossError);
    return error instanceof Error ? error.message : '';
  }
  return 'accepted';
}

describe('distillation', () => {
  it.each([0, -1, Infinity, NaN])('refuses the temperature %d', (temperature) => {
    const logits = [zeros(2, 3), zeros(2, 3)];
    const message = `expected the temperature to be a finite number above 0, got ${temperature}.`;
    expect(refusal(() => logitDistillation(logits, temperature))).toBe(`logitDistillation: ${message}`);
    expect(refusal(() => targetDistillation(logits, logits, temperature))).toBe(
      `targetDistillation: ${message}`,
    );
    expect(refusal(() => softDivergence(zeros(2, 3), zeros(2, 3), 2, temperature))).toBe(
      `softDivergence: ${message}`,
    );
    expect(refusal(() => attendedDistillation(logits, zeros(2, 2, 2), temperature, true))).toBe(
      `attendedDistillation: ${message}`,
    );
  });

  it.each([0, -2, 1.5, NaN])('refuses the batch %d', (batch) => {
    expect(refusal(() => softDivergence(zeros(2, 3), zeros(2, 3), batch, 1))).toBe(
      `softDivergence: expected the batch to be a whole number from 1, got ${batch}.`,
    );
  });

  it('refuses a target with another number of classes, which broadcasting could accept', () => {
    expect(refusal(() => rowDivergence(zeros(2, 3), zeros(2, 1)))).toBe(
      'rowDivergence: expected a target with the last dimension of [2, 3], got [2, 1].',
    );
  });

  it('refuses no networks, no targets, and logits of another shape', () => {
    expect(refusal(() => logitDistillation([], 1))).toBe(
      'logitDistillation: expected logits of at least one network, got none.',
    );
    expect(refusal(() => targetDistillation([zeros(2, 3)], [], 1))).toBe(
      'targetDistillation: expected targets of at least one network, got none.',
    );
    expect(refusal(() => logitDistillation([zeros(2, 3), zeros(2, 4)], 1))).toBe(
      'logitDistillation: expected logits to be [batch, classes] of one shape, the first is [2, 3], got [2, 4].',
    );
    expect(refusal(() => logitDistillation([zeros(6)], 1))).toBe(
      'logitDistillation: expected logits to be [batch, classes] of one shape, the first is [6], got [6].',
    );
    expect(refusal(() => logitDistillation([zeros(0, 3)], 1))).toBe(
      'logitDistillation: expected logits of at least one image and one class, got [0, 3].',
    );
    expect(refusal(() => targetDistillation([zeros(2, 3)], [zeros(1, 3)], 1))).toBe(
      'targetDistillation: expected targets of shape [2, 3], got [1, 3].',
    );
  });
});

describe('diverse peers', () => {
  it('refuse queries and keys that do not belong together', () => {
    expect(refusal(() => peerAttention(zeros(2, 3), zeros(2, 3)))).toBe(
      'peerAttention: expected queries of shape [any, any, any], got [2, 3].',
    );
    expect(refusal(() => peerAttention(zeros(2, 3, 4), zeros(2, 3, 5)))).toBe(
      "peerAttention: expected keys of the queries' shape [2, 3, 4], got [2, 3, 5].",
    );
  });

  it('refuse attention of another number of peers or images', () => {
    const logits = [zeros(2, 3), zeros(2, 3)];
    expect(refusal(() => attendedDistillation(logits, zeros(2, 3, 3), 1, true))).toBe(
      'attendedDistillation: expected attention of shape [2, 2, 2], got [2, 3, 3].',
    );
    expect(refusal(() => attendedDistillation(logits, zeros(1, 2, 2), 1, true))).toBe(
      'attendedDistillation: expected attention of shape [2, 2, 2], got [1, 2, 2].',
    );
  });
});

describe('adversarial losses', () => {
  it('refuse scores that are not one per sample', () => {
    expect(refusal(() => discrimination(zeros(4), zeros(4, 1)))).toBe(
      'discrimination: expected real scores of shape [any, 1], got [4].',
    );
    expect(refusal(() => discrimination(zeros(4, 1), zeros(4, 2)))).toBe(
      'discrimination: expected fake scores of shape [any, 1], got [4, 2].',
    );
    expect(refusal(() => fooling(zeros(4)))).toBe(
      'fooling: expected fake scores of shape [any, 1], got [4].',
    );
  });
});

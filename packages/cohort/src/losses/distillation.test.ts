import { backward, Generator, grad, ops, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { classification, logitDistillation, rampUp, softDivergence, targetDistillation } from './index.ts';

function logSoftmax(row: readonly number[]): number[] {
  const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
  return row.map((value) => value - Math.log(total));
}

/** KL(target || predicted) of two rows of logits, by the definition. */
function divergence(target: readonly number[], predicted: readonly number[], temperature: number): number {
  const soften = (row: readonly number[]): number[] => logSoftmax(row.map((value) => value / temperature));
  const [p, q] = [soften(target), soften(predicted)];
  return (
    p.reduce((sum, value, index) => sum + Math.exp(value) * (value - (q[index] ?? 0)), 0) * temperature ** 2
  );
}

describe('softDivergence', () => {
  const target = [
    [2, -1, 0.5],
    [0, 1, 3],
  ];
  const predicted = [
    [1, 1, -2],
    [0.3, 0.2, 0.1],
  ];

  it('is the mean over the batch of the KL divergence, times the squared temperature', () => {
    const temperature = 3;
    const soften = (rows: number[][]): Tensor => tensor(rows).div(temperature).logSoftmax(-1);
    const value = softDivergence(soften(predicted), soften(target), 2, temperature).item();
    const expected = [0, 1].map((row) => divergence(target[row] ?? [], predicted[row] ?? [], temperature));
    expect(value).toBeCloseTo(((expected[0] ?? 0) + (expected[1] ?? 0)) / 2, 5);
  });

  it('passes no gradient to the target', () => {
    const [student, teacher] = [tensor(predicted), tensor(target)];
    student.requiresGrad = true;
    teacher.requiresGrad = true;
    const loss = softDivergence(student.logSoftmax(-1), teacher.logSoftmax(-1), 2, 1);
    const [toStudent, toTeacher] = grad(loss, [student, teacher], { allowUnused: true });
    expect(toTeacher).toBeNull();
    // d KL / d logits is (softmax(student) - softmax(teacher)) / B.
    const expected = student.softmax(-1).sub(teacher.softmax(-1)).div(2).toNumbers();
    for (const [index, value] of (toStudent?.toNumbers() ?? []).entries()) {
      expect(value).toBeCloseTo(expected[index] ?? NaN, 6);
    }
  });
});

describe('logitDistillation', () => {
  it('pulls every network towards the mean of all logits', () => {
    const logits = [[[2, 0, -1]], [[0, 1, 1]]];
    const mean = [1, 0.5, 0];
    const value = logitDistillation(
      logits.map((rows) => tensor(rows)),
      2,
    ).item();
    const expected = logits.reduce((sum, [row]) => sum + divergence(mean, row ?? [], 2), 0);
    expect(value).toBeCloseTo(expected, 5);
  });

  it('is zero for networks that agree', () => {
    const generator = new Generator(3);
    const logits = ops.randn([4, 5], { generator });
    expect(logitDistillation([logits, logits, logits], 3).item()).toBeCloseTo(0, 6);
  });
});

describe('logitDistillation to the last network alone', () => {
  it('is the last summand of the whole, and passes no gradient to the others', () => {
    const generator = new Generator(4);
    const logits = [0, 1, 2].map(() => ops.randn([4, 5], { generator }));
    for (const each of logits) each.requiresGrad = true;
    const last = logitDistillation(logits, 3, 'last');
    const ensemble = ops.stack(logits, 0).mean([0]);
    expect(last.item()).toBeCloseTo(targetDistillation(logits.slice(-1), [ensemble], 3).item(), 6);
    backward(last);
    expect(logits.map(({ grad }) => grad === null)).toEqual([true, true, false]);
  });
});

describe('classification', () => {
  it('is the sum over networks of the mean cross-entropy, each with its own gradient', () => {
    const first = tensor([[1, 2, 3]]);
    const second = tensor([[0, 0, 0]]);
    first.requiresGrad = true;
    const labels = tensor([2], 'int64');
    const loss = classification([first, second], labels);
    expect(loss.item()).toBeCloseTo(-(logSoftmax([1, 2, 3])[2] ?? 0) + Math.log(3), 5);
    backward(loss);
    const expected = logSoftmax([1, 2, 3]).map((value, index) => Math.exp(value) - (index === 2 ? 1 : 0));
    for (const [index, value] of (first.grad?.toNumbers() ?? []).entries()) {
      expect(value).toBeCloseTo(expected[index] ?? NaN, 6);
    }
  });
});

describe('rampUp', () => {
  it('rises from exp(-5) to 1 and stays there', () => {
    expect(rampUp(0, 10)).toBeCloseTo(Math.exp(-5));
    expect(rampUp(5, 10)).toBeCloseTo(Math.exp(-1.25));
    expect(rampUp(10, 10)).toBe(1);
    expect(rampUp(99, 10)).toBe(1);
  });

  it('is 1 from the start when there is none', () => {
    expect(rampUp(0, 0)).toBe(1);
  });
});

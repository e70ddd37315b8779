/** When a teacher waits for its student (SwitOKD, Qian et al., arXiv 2209.04996). */
import type { Tensor } from '@cohort-ml/torch';

/** Numbers by which a teacher is paused or continues. */
export interface DistillationGap {
  /** `G = mean ||p_s - p_t||_1`: how far the student is from the teacher. */
  readonly gap: number;
  /** `delta = s - exp(-t / (s + t)) t`, with s and t the distances of student and teacher from the labels. */
  readonly threshold: number;
}

/** Mean over the batch of the L1 distance of two distributions, `[B, classes]` each. */
function distance(left: Tensor, right: Tensor): number {
  return left.sub(right).abs().sum([1]).mean().item();
}

/**
 * The distillation gap and its adaptive switching threshold. Where the gap is larger the teacher is paused (expert mode),
 * else both learn (learning mode).
 *
 * @param student logits `[B, classes]`
 * @param teacher logits `[B, classes]`
 * @param truth distributions that the labels stand for, `[B, classes]`
 */
export function distillationGap(
  student: Tensor,
  teacher: Tensor,
  truth: Tensor,
  temperature: number,
): DistillationGap {
  const soften = (logits: Tensor): Tensor => logits.detach().div(temperature).softmax(1);
  const [ofStudent, ofTeacher] = [soften(student), soften(teacher)];
  const [s, t] = [distance(ofStudent, truth), distance(ofTeacher, truth)];
  const threshold = s + t === 0 ? 0 : s - Math.exp(-t / (s + t)) * t;
  return { gap: distance(ofStudent, ofTeacher), threshold };
}

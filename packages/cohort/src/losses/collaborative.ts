/**
 * Targets that networks make together (KDCL, Guo et al., CVPR 2020, section 3.2): the best network's logits, their best
 * mixture for each image, the smallest margins, or a mixture whose weights were solved on held-out images.
 */
import { ops, type Tensor } from '@cohort-ml/torch';

/** Logits of several networks as one tensor, networks first: `[N, B, classes]`. */
function stacked(logits: readonly Tensor[]): Tensor {
  return ops.stack(logits, 0).detach();
}

/** Picks one of N for every sample: `[N, B, classes]` by `[B]` to `[B, classes]`. */
function pick(all: Tensor, choice: Tensor): Tensor {
  const [, batch = 0, classes = 0] = all.shape;
  return all.gather(0, choice.view([1, batch, 1]).expand([1, batch, classes])).squeeze(0);
}

/** -ln(probability of the label): `[..., B, classes]` to `[..., B]`. */
function surprise(logits: Tensor, labels: Tensor): Tensor {
  const index = labels.unsqueeze(-1).expand([...logits.shape.slice(0, -1), 1]);
  return logits.logSoftmax(-1).gather(-1, index).squeeze(-1).neg();
}

/**
 * KDCL-Naive: for each image the logits of the network with the smallest cross-entropy.
 *
 * @param logits one `[B, classes]` per network
 * @param labels int64 `[B]`
 * @returns `[B, classes]`, without gradient
 */
export function naiveTarget(logits: readonly Tensor[], labels: Tensor): Tensor {
  const all = stacked(logits);
  return pick(all, surprise(all, labels).argmin(0));
}

/**
 * KDCL-MinLogit: the logits less that of the label, the smallest over networks for each class. The label's
 * own is 0, so that no target is surer of the label than the least sure network's margins say.
 *
 * @param logits one `[B, classes]` per network
 * @param labels int64 `[B]`
 * @returns `[B, classes]`, without gradient
 */
export function minLogitTarget(logits: readonly Tensor[], labels: Tensor): Tensor {
  const all = stacked(logits); // [N, B, classes]
  const [networks = 0, batch = 0] = all.shape;
  const own = all.gather(-1, labels.view([1, batch, 1]).expand([networks, batch, 1]));
  return all.sub(own).amin([0]);
}

/** Halvings of the interval of a line search: to a millionth of it. */
const halvings = 20;

/**
 * KDCL-Linear: for each image the mixture of logits, with weights from 0 that sum to 1, whose
 * cross-entropy is smallest. The problem is convex; weight is moved from the worst network that has some to the best,
 * as far as helps, which for two networks is the solution at once. With more, every pair gets its turn
 * four times; what is left to gain is then below 2e-5 nats per image.
 *
 * @param logits one `[B, classes]` per network
 * @param labels int64 `[B]`
 * @returns the mixtures, `[B, classes]`, without gradient
 */
export function linearTarget(logits: readonly Tensor[], labels: Tensor): Tensor {
  const all = stacked(logits);
  const [networks = 0, batch = 0, classes = 0] = all.shape;
  const truth = labels.oneHot(classes).to('float32'); // [B, classes]
  let weights = ops.full([networks, batch], 1 / networks);
  let mixture = all.mean([0]);
  for (let move = 0; move < 2 * networks * (networks - 1); move += 1) {
    const error = mixture.softmax(-1).sub(truth); // the gradient of the cross-entropy, [B, classes]
    const slopes = all.mul(error).sum([-1]); // [N, B]
    const best = slopes.argmin(0);
    const worst = slopes.maskedFill(weights.le(0), -Infinity).argmax(0);
    const direction = pick(all, best).sub(pick(all, worst));
    const available = weights.gather(0, worst.unsqueeze(0)).squeeze(0); // [B]
    const step = lineSearch(mixture, direction, truth, available);
    mixture = mixture.add(direction.mul(step.unsqueeze(1)));
    weights = weights
      .scatterAdd(0, best.unsqueeze(0), step.unsqueeze(0))
      .scatterAdd(0, worst.unsqueeze(0), step.neg().unsqueeze(0));
  }
  return mixture;
}

/** How far to go along `direction`, from 0 to `limit`, for the smallest cross-entropy: `[B]`, by bisection of its slope. */
function lineSearch(start: Tensor, direction: Tensor, truth: Tensor, limit: Tensor): Tensor {
  const slopeAt = (step: Tensor): Tensor =>
    start
      .add(direction.mul(step.unsqueeze(1)))
      .softmax(-1)
      .sub(truth)
      .mul(direction)
      .sum([-1]);
  const rises = slopeAt(limit).gt(0);
  let low = ops.zerosLike(limit);
  let high = limit;
  for (let halving = 0; halving < halvings; halving += 1) {
    const middle = low.add(high).div(2);
    const isPast = slopeAt(middle).gt(0);
    high = ops.where(isPast, middle, high);
    low = ops.where(isPast, low, middle);
  }
  return ops.where(rises, low, limit);
}

/**
 * KDCL-General: the mixture of all images with the same weights.
 *
 * @param logits one `[B, classes]` per network
 * @param weights `[N]`
 * @returns `[B, classes]`, without gradient
 */
export function weightedTarget(logits: readonly Tensor[], weights: Tensor): Tensor {
  return stacked(logits)
    .mul(weights.detach().view([-1, 1, 1]))
    .sum([0]);
}

/**
 * What KDCL-General's weights are solved from: how the errors of two networks' probabilities go together,
 * summed over images.
 *
 * @param logits one `[B, classes]` per network
 * @param labels int64 `[B]`
 * @returns `[N, N]`
 */
export function errorProducts(logits: readonly Tensor[], labels: Tensor): Tensor {
  const all = stacked(logits);
  const [networks = 0, , classes = 0] = all.shape;
  const errors = all.softmax(-1).sub(labels.oneHot(classes).to('float32')).reshape([networks, -1]);
  return errors.matmul(errors.t());
}

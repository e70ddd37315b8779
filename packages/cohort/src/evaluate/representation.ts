/**
 * What a cohort's embeddings are like on held-out images: how much two networks share (mutual information, bounded from
 * below), and how each spreads its embeddings (alignment, uniformity, effective rank), so that one sees what was shared
 * and when a cohort collapses. Formulas and sources stand in docs/method.md.
 */
import { noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import { contrastiveLoss, similarities } from '../losses/index.ts';
import type { ContrastSpace } from '../methods/index.ts';
import { normalised } from '../methods/parts/embeddingHead.ts';

/** Embeddings of the same held-out images. */
export interface HeldOutEmbeddings {
  /** One `[N, D]` per network. */
  readonly embeddings: readonly Tensor[];
  /** int64 `[N]`. */
  readonly labels: Tensor;
}

/** Held-out images, evenly spaced, that representations are measured on: more would change the third digit and take longer. */
export const representationImages = 1000;

/** How a network spreads its embeddings. */
export interface EmbeddingSpread {
  /** Mean squared distance of two images of one class, 0 to 4; small when classes are tight. NaN without such a pair. */
  readonly alignment: number;
  /** `ln E exp(-2 |x - y|^2)` over pairs of images, at most 0; more negative when spread evenly over the sphere. NaN of one image. */
  readonly uniformity: number;
  /** Exponential of the entropy of the singular values, from 1 (collapsed, or all zero) to the smaller of N and D. All are NaN where an embedding is not finite. */
  readonly effectiveRank: number;
}

/** Lower bounds of the mutual information of two networks' embeddings, in nats. */
export interface InformationBound {
  /** Places in the cohort, from 0. */
  readonly networks: readonly [number, number];
  /**
   * From ICL: of an image's embedding in one network and another of its class in the other. At most `ln(N - 1)`; NaN where
   * no two images are of one class.
   */
  readonly sameClass: number;
  /** From InfoNCE: of the two embeddings of one image. At most `ln N`. */
  readonly sameImage: number;
}

/**
 * Alignment and uniformity (Wang and Isola, arXiv 2005.10242, section 4.1, alpha 2 and t 2) and effective rank (Roy and
 * Vetterli, EUSIPCO 2007) of one network's embeddings.
 *
 * @param embeddings `[N, D]`, L2-normalised, or zero where a network has nothing to say
 * @param labels int64 `[N]`
 */
export function embeddingSpread(embeddings: Tensor, labels: Tensor): EmbeddingSpread {
  return noGrad(() =>
    scope(() => {
      const exact = embeddings.to('float64');
      if (exact.isfinite().all().item() === 0) return { alignment: NaN, uniformity: NaN, effectiveRank: NaN };
      const count = exact.shape[0] ?? 0;
      const lengths = exact.square().sum([1]); // [N], 1 but for zeros
      const squared = exact.matmul(exact.t()).mul(-2).add(lengths).add(lengths.unsqueeze(1)).clampMin(0); // [N, N], |x - y|^2
      const pairs = ops.ones([count, count], { dtype: 'float64' }).tril(-1);
      const positive = labels.unsqueeze(0).eq(labels.unsqueeze(1)).to('float64').mul(pairs);
      const singular = ops.linalgSvdvals(exact);
      const shares = singular.div(singular.sum().clampMin(1e-300));
      const entropy = ops.xlogy(shares, shares).sum().neg();
      return {
        alignment: squared.mul(positive).sum().item() / positive.sum().item(),
        uniformity: Math.log(squared.mul(-2).exp().mul(pairs).sum().item() / pairs.sum().item()),
        effectiveRank: Math.exp(entropy.item()),
      };
    }),
  );
}

/**
 * `ln K` less the contrastive loss, for every pair of networks: ICL among the images of the other network without the
 * image itself (K = N - 1; Yang et al., arXiv 2104.12565, section 3.3), and InfoNCE with the same image as the positive
 * (K = N; van den Oord et al., arXiv 1807.03748, section 2.3). Each direction is a bound; their mean is given.
 *
 * @param embeddings one `[N, D]` per network, L2-normalised, all of one width
 * @param labels int64 `[N]`
 * @param temperature tau of the similarities
 */
export function informationBounds(
  embeddings: readonly Tensor[],
  labels: Tensor,
  temperature: number,
): InformationBound[] {
  return noGrad(() =>
    scope(() => {
      const count = labels.shape[0] ?? 0;
      const similarity = similarities(embeddings, temperature); // [n, n, N, N]
      const networks = embeddings.length;
      // Without a positive the loss is zero by definition, which says nothing; as a bound it would be the ceiling.
      const hasPositive = labels.unsqueeze(0).eq(labels.unsqueeze(1)).sum().item() > count;
      const sameClass = hasPositive ? contrastiveLoss(similarity, labels).toNumbers() : []; // [n, n]
      const sameImage = similarity.logSoftmax(-1).diagonal({ dim1: 2, dim2: 3 }).mean([2]).neg().toNumbers();
      const bound = (losses: readonly number[], candidates: number, a: number, b: number): number =>
        Math.log(candidates) - ((losses[a * networks + b] ?? NaN) + (losses[b * networks + a] ?? NaN)) / 2;
      return embeddings.flatMap((_, a) =>
        embeddings.slice(a + 1).map((_, offset): InformationBound => {
          const b = a + 1 + offset;
          return {
            networks: [a, b],
            sameClass: bound(sameClass, count - 1, a, b),
            sameImage: bound(sameImage, count, a, b),
          };
        }),
      );
    }),
  );
}

/** A cohort's representations by name, for the record. */
export interface RepresentationMeasures {
  /** `embedding/resnet8-1/alignment` and the like; `contrast/...` in the method's space, where it has one. */
  readonly values: Readonly<Record<string, number>>;
  /** Mean over pairs of the bound from ICL, in nats; null where there is none: for methods that do not contrast, and without two images of one class. */
  readonly sharedInformation: number | null;
}

/**
 * Everything of this page for one cohort.
 *
 * @param names one per network
 * @param space where the method contrasts embeddings, if it does
 */
export function measureRepresentations(
  { embeddings, labels }: HeldOutEmbeddings,
  names: readonly string[],
  space: ContrastSpace | undefined,
): RepresentationMeasures {
  return noGrad(() =>
    scope(() => {
      const projected = space?.project(embeddings) ?? [];
      const values: Record<string, number> = {};
      const spaces: Record<string, readonly Tensor[]> = {
        embedding: embeddings.map(normalised),
        contrast: projected,
      };
      for (const [kind, tensors] of Object.entries(spaces)) {
        for (const [index, tensor] of tensors.entries()) {
          for (const [name, value] of Object.entries<number>({ ...embeddingSpread(tensor, labels) })) {
            values[`${kind}/${names[index] ?? index}/${name}`] = value;
          }
        }
      }
      const bounds = space === undefined ? [] : informationBounds(projected, labels, space.temperature);
      for (const {
        networks: [a, b],
        sameClass,
        sameImage,
      } of bounds) {
        const pair = `information/${names[a] ?? a}/${names[b] ?? b}`;
        values[`${pair}/sameClass`] = sameClass;
        values[`${pair}/sameImage`] = sameImage;
      }
      const sum = bounds.reduce((total, { sameClass }) => total + sameClass, 0);
      // No pair of networks gives 0 / 0.
      const mean = sum / bounds.length;
      return { values, sharedInformation: Number.isNaN(mean) ? null : mean };
    }),
  );
}

import { backward, Generator, grad, ops, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { EmbeddingHeads } from '../methods/parts/embeddingHead.ts';
import { expectClose, Golden } from '../test/golden.ts';
import { memoryContrast, updateBank } from './memoryContrast.ts';

const options = { temperature: 0.07, distillationTemperature: 3 };

/** Unit vectors `[rows, width]`. */
function unit(rows: number, width: number, seed: number): Tensor {
  const raw = ops.randn([rows, width], { generator: new Generator(seed) });
  return raw.div(raw.norm(2, [1], true));
}

describe('golden mcl-memory-2-networks', () => {
  const golden = new Golden('mcl-memory-2-networks.safetensors');
  const features = [0, 1].map((network) => golden.tensor(`features.${network}`));
  for (const feature of features) feature.requiresGrad = true;
  const heads = new EmbeddingHeads([24, 24], 16, new Generator(0));
  heads.loadStateDict(
    new Map(
      [...golden.tensors]
        .filter(([name]) => name.startsWith('head.'))
        .map(([name, value]) => [name.replace('head.', 'heads.'), value]),
    ),
  );
  const embeddings = heads.call(features);
  const banks = [0, 1].map((network) => golden.tensor(`memory.${network}.before`));
  const positives = golden.tensor('positive_index');
  const terms = memoryContrast(
    embeddings,
    banks,
    { positives, negatives: golden.tensor('negative_index') },
    { temperature: golden.setting('tau'), distillationTemperature: golden.setting('kd_temperature') },
  );

  it('gives the value of every term', () => {
    expectClose(terms.vcl, golden.tensor('loss.vcl'));
    expectClose(terms.icl, golden.tensor('loss.icl'));
    expectClose(terms.softVcl, golden.tensor('loss.soft_vcl'));
    expectClose(terms.softIcl, golden.tensor('loss.soft_icl'));
  });

  it('gives the total and its gradients', () => {
    const total = terms.vcl
      .mul(golden.setting('alpha'))
      .add(terms.softVcl.mul(golden.setting('gamma')))
      .add(terms.icl.mul(golden.setting('beta')))
      .add(terms.softIcl.mul(golden.setting('lam')));
    expectClose(total, golden.tensor('loss.total'));
    backward(total);
    for (const [network, feature] of features.entries()) {
      expectClose(feature.grad ?? tensor(0), golden.tensor(`grad.features.${network}`));
    }
  });

  it('gives the banks after their update, and changes no other row', () => {
    for (const [network, embedding] of embeddings.entries()) {
      const bank = golden.tensor(`memory.${network}.before`).clone();
      updateBank(bank, positives.select(1, 0), embedding, golden.setting('momentum'));
      expectClose(bank, golden.tensor(`memory.${network}.after`));
    }
  });
});

describe('memoryContrast', () => {
  const embeddings = [unit(3, 8, 1), unit(3, 8, 2)];
  const banks = [unit(20, 8, 3), unit(20, 8, 4)];
  const negatives = tensor(
    [
      [10, 11, 12, 13],
      [14, 15, 16, 17],
      [10, 12, 14, 16],
    ],
    'int64',
  );

  it('leaves an anchor that is alone in its class out of VCL, which is zero with none left', () => {
    for (const embedding of embeddings) embedding.requiresGrad = true;
    const alone = tensor([[0, 0, 0], [1, 1, 1], [2, 2, 2]], 'int64'); // prettier-ignore
    const { vcl, icl, softVcl, softIcl } = memoryContrast(
      embeddings,
      banks,
      { positives: alone, negatives },
      options,
    );
    expect(vcl.item()).toBeCloseTo(0, 6);
    expect(icl.item()).toBeGreaterThan(0);
    const gradients = grad(vcl.add(icl).add(softVcl).add(softIcl), embeddings);
    for (const gradient of gradients) expect(gradient.isfinite().all().item()).toBe(1);
  });

  it('counts the anchors that have a positive only', () => {
    const positives = tensor([[0, 5], [1, 1], [2, 2]], 'int64'); // prettier-ignore
    const first = (rows: Tensor): Tensor => rows.narrow(0, 0, 1);
    const all = memoryContrast(embeddings, banks, { positives, negatives }, options);
    const one = memoryContrast(
      embeddings.map(first),
      banks,
      { positives: first(positives), negatives: first(negatives) },
      options,
    );
    expect(all.vcl.item()).toBeCloseTo(one.vcl.item(), 4);
  });

  it('sees every network and every anchor alike: permuting the cohort or the batch changes nothing', () => {
    const positives = tensor([[0, 5], [1, 6], [2, 7]], 'int64'); // prettier-ignore
    const [three, threeBanks] = [
      [...embeddings, unit(3, 8, 5)],
      [...banks, unit(20, 8, 6)],
    ];
    const values = (...given: Parameters<typeof memoryContrast>): number[] =>
      Object.values({ ...memoryContrast(...given) }).map((term: Tensor) => term.item());
    const plain = values(three, threeBanks, { positives, negatives }, options);
    const turned = values(three.toReversed(), threeBanks.toReversed(), { positives, negatives }, options);
    const order = tensor([2, 0, 1], 'int64');
    const shuffled = (rows: Tensor): Tensor => rows.indexSelect(0, order);
    const samples = { positives: shuffled(positives), negatives: shuffled(negatives) };
    const moved = values(three.map(shuffled), threeBanks, samples, options);
    for (const [term, value] of plain.entries()) {
      expect(value).toBeGreaterThan(0);
      expect(turned[term]).toBeCloseTo(value, 4);
      expect(moved[term]).toBeCloseTo(value, 4);
    }
  });

  it('has nothing to distil between duplicated networks with one bank', () => {
    const positives = tensor([[0, 5], [1, 6], [2, 7]], 'int64'); // prettier-ignore
    const [embedding, bank] = [unit(3, 8, 1), unit(20, 8, 3)];
    const terms = memoryContrast([embedding, embedding], [bank, bank], { positives, negatives }, options);
    expect(terms.softVcl.item()).toBeCloseTo(0, 5);
    expect(terms.softIcl.item()).toBeCloseTo(0, 5);
  });

  it('refuses banks of another width and samples for another batch', () => {
    const positives = tensor([[0, 5], [1, 6], [2, 7]], 'int64'); // prettier-ignore
    expect(() =>
      memoryContrast(embeddings, [unit(9, 7, 1), unit(9, 7, 2)], { positives, negatives }, options),
    ).toThrow(/banks must be \[images, 8\], got Tensor float32 \[9, 7\]/);
    expect(() =>
      memoryContrast(embeddings, banks, { positives: positives.narrow(0, 0, 2), negatives }, options),
    ).toThrow(/positives must have a row for each of 3 anchors, got \[2, 2\]/);
  });
});

/** What the doctor says of the kernels that batch normalisation runs on. */
import { expect, it } from 'vitest';
import { diagnose } from './doctor.ts';

it('names the fused kernels, and warns where they are switched off', async () => {
  const { checks } = await diagnose();
  const kernels = checks.find(({ name }) => name === 'fused kernels');
  if (process.env.COHORT_KERNELS === 'aten') {
    expect(kernels).toMatchObject({
      status: 'warn',
      advice: 'Unset COHORT_KERNELS to use the fused kernels.',
    });
  } else {
    expect(kernels?.value).toMatch(/^(baseline|avx2|avx512)/);
  }
});

it('says what speed depends on and how each choice is overridden', async () => {
  const { checks } = await diagnose();
  const said = Object.fromEntries(checks.map(({ name, value }) => [name, value]));
  expect(said['two networks']).toMatch(
    /^differentiated (one after the other|2 at the same time) \(override: train\.networksAtOnce\)$/,
  );
  expect(said.repeatability).toMatch(
    /^runs of one seed are the same to the last bit with \d+ threads? here$/,
  );
  expect(said.bfloat16).toMatch(/train\.precision: bfloat16/);
  expect(said.convolutions).toMatch(/(Winograd|oneDNN).*COHORT_CONVOLUTION/);
  expect(said['vector kernels']).toContain('ATEN_CPU_CAPABILITY');
  expect(said.allocator).toMatch(/COHORT_ALLOCATOR|system/);
  // Tests run with a number of threads of their own: then the variable is told with its value.
  expect(checks.find(({ name }) => name === 'threads')?.value).toMatch(/^\d+ of \d+ cores/);
});

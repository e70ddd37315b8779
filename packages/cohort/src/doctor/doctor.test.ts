/** What the doctor says of the kernels that batch normalisation runs on. */
import { expect, it } from 'vitest';
import { checkArithmetic, checkDevices, diagnose } from './doctor.ts';

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

it('says whether the arithmetic agrees with float64, and what is done where it does not', () => {
  const version = '2.6.0';
  const right = { convolutions: 120, detours: [], faults: [] };
  expect(checkArithmetic({ version, arithmetic: right })).toEqual({
    name: 'arithmetic',
    status: 'ok',
    value: '120 kinds of convolution agree with float64',
  });
  const what = 'forward, float32, contiguous, 28 to 12 channels, kernel 3x3, maps 16x16';
  const detour = { what, error: 0.132, route: 'other-layout' };
  expect(checkArithmetic({ version, arithmetic: { ...right, detours: [detour] } })).toMatchObject({
    status: 'warn',
    value: `1 of 120 kinds of convolution are wrong in LibTorch 2.6.0 and computed another way: ${what} (off by 13 %, taken: other-layout)`,
    advice: expect.stringContaining('Results are right') as string,
  });
  const faults = ['the matrix product in float32 is off by 25 %'];
  expect(checkArithmetic({ version, arithmetic: { ...right, faults } })).toMatchObject({
    status: 'fail',
    value: 'LibTorch 2.6.0 computes wrongly here: the matrix product in float32 is off by 25 %',
    advice: expect.stringContaining('Training is refused.') as string,
  });
});

it('lists graphics cards with driver and memory, or says why there are none', () => {
  expect(checkDevices({ cuda: false }, []).value).toBe('not in this LibTorch; training runs on the CPU');
  expect(checkDevices({ cuda: true }, [])).toMatchObject({
    status: 'warn',
    value: 'in this LibTorch, but no graphics card was found; training runs on the CPU',
  });
  const card = { device: 'cuda:0', name: 'NVIDIA H200', driver: '570.1', memoryBytes: 139 * 2 ** 30 };
  expect(checkDevices({ cuda: true }, [card]).value).toBe(
    'cuda:0: NVIDIA H200, 139 GiB, driver 570.1 (train.device)',
  );
});

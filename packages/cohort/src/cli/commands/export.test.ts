/** `cohort export`: its options reach the export, wrong ones are refused with what may be written, results are shown. */
import { describe, expect, test } from 'vitest';
import type { ExportResult } from '../../export/exportRun.ts';
import type { ExportOptions } from '../../export/options.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

const score = {
  images: 500,
  accuracy: 0.8,
  topFiveAccuracy: 1,
  negativeLogLikelihood: 0.5,
  expectedCalibrationError: 0.01,
};
const result: ExportResult = {
  folder: '/exports/demo',
  bytes: 300_000,
  manifest: {
    ...{ format: 'cohort-export', version: 1, cohort: '1', created: '2026-11-29T00:00:00Z', labels: ['a', 'b'], files: {} },
    run: { id: 'demo', dataset: 'fashion-mnist', method: 'mcl', checkpoint: 'last', epoch: 1, finished: true },
    input: { name: 'pixel_values', channels: 1, height: 28, width: 28, range: [0, 255] },
    preprocessing: {
      ...{ autoOrient: true, background: '#ffffff', luminance: null, normalisation: 'graph', mean: [0], std: [1] },
      resize: { name: 'lanczos3', fit: 'fill' },
    },
    networks: [{ name: 'resnet8-1', kind: 'network', architecture: 'resnet8', parameters: 1, multiplyAdds: 1, output: 'logits', embedding: null, trained: score }],
    models: [
      {
        ...{ precision: 'int8', path: 'onnx/model_quantized.onnx', bytes: 92_000, sha256: '', opset: 17, operators: [] },
        parity: [{ program: 'onnxruntime-node 1', networks: [{ name: 'resnet8-1', images: 500, relativeError: 0.05, relativeErrorBound: null, probabilityError: 0.1, agreement: 0.99, accuracy: 0.798, trainedAccuracy: 0.8 }] }],
      },
    ],
  },
}; // prettier-ignore

async function exported(
  argv: readonly string[],
): Promise<{ out: string; options: ExportOptions | null; run: string }> {
  let options: ExportOptions | null = null;
  let path = '';
  const { out, code } = await run(['export', ...argv], () => ({
    exportRun: (runPath, given) => {
      path = runPath;
      options = given;
      return Promise.resolve(result);
    },
  }));
  expect(code).toBe(0);
  return { out, options, run: path };
}

test('without options one network is written in float32 as ONNX', async () => {
  const { options, run: path } = await exported(['runs/demo']);
  expect(path).toBe('runs/demo');
  expect(options).toMatchObject({
    precisions: ['float32'],
    formats: ['onnx'],
    checkpoint: 'last',
    weightBits: 8,
  });
  expect(options?.network).toBeUndefined();
});

test('every option reaches the export', async () => {
  const { options } = await exported(
    'runs/demo --out x --network all --precision float16,int8 --format onnx,transformers.js --page --single-file --force --checkpoint best --data photos --images 100 --calibration 64 --weight-bits 7 --max-loss 1.5'.split(
      ' ',
    ),
  );
  expect(options).toMatchObject({
    ...{ out: 'x', network: 'all', precisions: ['float16', 'int8'], formats: ['onnx', 'transformers.js'] },
    ...{ page: true, singleFile: true, force: true, checkpoint: 'best', dataPath: 'photos' },
    ...{ testImages: 100, calibrationImages: 64, weightBits: 7, maximumLoss: 1.5 },
  });
});

test('what each file came to is shown, and is there for programs', async () => {
  const { out } = await exported(['runs/demo']);
  expect(out).toContain('onnx/model_quantized.onnx');
  expect(out).toMatch(/80\.00%\s+79\.80%\s+99\.00%\s+5\.0e-2/);
  expect(out).toContain('wrote /exports/demo (293 KiB)');
  const { out: json } = await exported(['runs/demo', '--json']);
  expect(lastLine(json)).toEqual(JSON.parse(JSON.stringify(result)));
});

describe('refused before anything is loaded:', () => {
  test.each([
    [['--precision', 'fp16'], "There is no precision 'fp16'."],
    [['--precision', 'float32,int4'], 'Name one or more of float32, float16, int8, separated by commas.'],
    [['--format', 'torchvison'], "Did you mean 'torchvision'?"],
    [['--images', '0'], 'Expected a whole number of at least 1.'],
    [['--max-loss', '101'], 'Expected a number from 0 to 100.'],
    [['--weight-bits', '4'], 'Allowed choices are 7, 8.'],
    [['--quality', '9'], "unknown option '--quality'"],
  ])('%j', async (argv, message) => {
    const { code, err } = await run(['export', 'runs/demo', ...argv]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

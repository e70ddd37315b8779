/** Exported folders in the programs that they are for: transformers.js loads and classifies, torchvision loads strictly. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env, pipeline } from '@huggingface/transformers';
import { Tensor } from '@cohort-ml/torch';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { predictRun } from '../inference/predictRun.ts';
import { numbersOf, pixels, pythonWith, relativeError, trainedLike } from '../test/exports.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import type { ExportEntry } from './entries.ts';
import { exportRun } from './exportRun.ts';
import { torchvisionFiles } from './files/torchvision.ts';
import type { ExportManifest } from './manifest.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

test('transformers.js says of a picture what cohort predict says, in every precision', async () => {
  const { signal } = new AbortController();
  const reporter = new RememberingReporter();
  const recipe = world.recipe({ train: { epochs: 4, batchSize: 16 } });
  const { runFolder } = await trainRun(recipe, { signal, reporter, command: 'cohort train' });
  const picture = join(world.path, 'picture.png');
  const drawn = '<svg width="90" height="60"><path d="M20 5H70L85 25L60 55H25Z" fill="#e84"/></svg>';
  await sharp(Buffer.from(drawn)).flatten({ background: '#135' }).png().toFile(picture);
  await exportRun(runFolder, {
    ...{ signal, reporter, out: join(world.path, 'exported'), calibrationImages: 20, maximumLoss: 100 },
    ...{ network: 'resnet8-2', formats: ['transformers.js'], precisions: ['float32', 'float16', 'int8'] },
  });
  const [prediction] = await predictRun(runFolder, [picture], { signal, reporter, top: 10 });
  const expected = new Map(
    prediction?.perNetwork[1]?.top.map(({ label, probability }) => [label, probability]),
  );
  const before = { path: env.localModelPath, remote: env.allowRemoteModels };
  env.localModelPath = world.path;
  env.allowRemoteModels = false;
  try {
    for (const [dtype, tolerance] of [
      ['fp32', 0.005],
      ['fp16', 0.01],
      ['q8', 0.1],
    ] as const) {
      const classify = await pipeline('image-classification', 'exported', { dtype, device: 'cpu' });
      const seen = (await classify(picture, { top_k: 10 })) as { label: string; score: number }[];
      expect(seen).toHaveLength(10);
      for (const { label, score } of seen) {
        expect(Math.abs(score - (expected.get(label) ?? NaN)), `${dtype} ${label}`).toBeLessThan(tolerance);
      }
      await classify.dispose();
    }
  } finally {
    env.localModelPath = before.path;
    env.allowRemoteModels = before.remote;
  }
});

const python = pythonWith('torch', 'torchvision', 'numpy');

/** Stands in for the package safetensors where that is not installed: the format is a header of JSON and the bytes. */
const standIn = `
import json, struct, sys, types
try:
    import safetensors.torch
except ImportError:
    import numpy, torch
    def load_file(path):
        data = open(path, "rb").read()
        size = struct.unpack("<Q", data[:8])[0]
        kinds = {"F32": numpy.float32, "I64": numpy.int64}
        read = lambda e: torch.from_numpy(numpy.frombuffer(data[8 + size + e["data_offsets"][0]:8 + size + e["data_offsets"][1]], kinds[e["dtype"]]).copy().reshape(e["shape"]))
        return {name: read(e) for name, e in json.loads(data[8:8 + size]).items() if name != "__metadata__"}
    package, module = types.ModuleType("safetensors"), types.ModuleType("safetensors.torch")
    module.load_file = load_file
    sys.modules.update({"safetensors": package, "safetensors.torch": module})
`;

test.skipIf(python === null).each([
  ['imagenet-resnet18', 3, 64],
  ['imagenet-mobilenetv2', 3, 64],
  ['imagenet-mobilenetv3-small', 3, 64],
  ['imagenet-shufflenetv2-1x', 3, 64],
  ['mobilenetv2', 3, 32],
  ['imagenet-resnet18', 1, 64],
])("torchvision loads %s of %i channels strictly and gives the same scores (Debian: python3-torchvision)", (architecture, channels, side) => {
  const network = trainedLike(architecture, { classes: 7, channels });
  const folder = join(world.path, `${architecture}-${channels}`);
  mkdirSync(folder);
  const entry: ExportEntry = {
    ...{ name: 'one', kind: 'network', architecture, network, parameters: 1, multiplyAdds: 1 },
    ...{ output: 'logits', embedding: null },
  };
  const each = Array.from({ length: channels }, () => 0.5);
  const manifest = {
    labels: ['a', "b's", 'c"', 'd', 'e', 'f', '猫'],
    input: { name: 'pixel_values', channels, height: side, width: side, range: [0, 255] },
    preprocessing: { resize: { name: 'x', fit: 'cover' }, mean: each, std: each },
  } as unknown as ExportManifest;
  for (const { path, content } of torchvisionFiles(entry, manifest)) writeFileSync(join(folder, path), content);
  const shape = [2, channels, side, side];
  const input = pixels(shape).map((value) => value / 255);
  writeFileSync(join(folder, 'input.bin'), input);
  const script = `${standIn}
import numpy, torch
from PIL import Image
sys.path.insert(0, ${JSON.stringify(folder)})
from load_model import model, labels, preprocess
images = torch.from_numpy(numpy.fromfile(${JSON.stringify(join(folder, 'input.bin'))}, numpy.float32)).reshape(${JSON.stringify(shape)})
size = list(preprocess(Image.new("${channels === 1 ? 'L' : 'RGB'}", (90, 70))).shape)
with torch.no_grad():
    print(json.dumps({"logits": model(images).flatten().tolist(), "labels": labels, "size": size}))
`;
  const printed = execFileSync(python ?? '', ['-c', script], { encoding: 'utf8', env: { ...process.env, OMP_NUM_THREADS: '1' } });
  const { logits, labels, size } = JSON.parse(printed) as { logits: number[]; labels: string[]; size: number[] };
  const expected = numbersOf(() => network.call(Tensor.fromTypedArray(input, shape)).logits);
  expect(relativeError(Float32Array.from(logits), expected)).toBeLessThan(1e-5);
  expect(labels).toEqual(manifest.labels);
  expect(size).toEqual([channels, side, side]);
  network.dispose();
}); // prettier-ignore

/** Checkpoints of torchvision's segmenters and detectors: what they are is seen, and the imported ones compute what torchvision does. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Generator, loadTensors, saveTensors, scope, setThreads, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { createNetwork } from '../../models/index.ts';
import { taskSchema } from '../../recipes/task.ts';
import { pythonWith, relativeError } from '../../test/exports.ts';
import { Detector } from '../detection/detector.ts';
import { Rcnn } from '../detection/rcnn/rcnn.ts';
import { Segmenter } from '../segmentation/segmenter.ts';
import { importTaskWeights, isTaskCheckpoint } from './importTaskWeights.ts';
import { createTask } from './tasks.ts';
import { loadTaskWeights } from './taskWeights.ts';
import type { TaskModel } from './visionTask.ts';

// Networks as published: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_800_000 });

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  setThreads(1);
  folder = temporaryFolder();
});
afterAll(() => {
  folder.remove();
});

function modelOf(task: object, model: string, classes: number): TaskModel<unknown> {
  const names = Array.from({ length: classes }, (_, index) => `class ${index}`);
  const network = createNetwork(model, { classes: 2, channels: 3, generator: new Generator(5) });
  return createTask(taskSchema.parse(task), names).createModel(network, new Generator(5));
}

/** Without counters, by older names if asked. */
function save(
  path: string,
  model: TaskModel<unknown>,
  rename: (name: string) => string = (name) => name,
): void {
  const state = [...model.stateDict()].filter(([name]) => !name.endsWith('num_batches_tracked'));
  saveTensors(path, new Map(state.map(([name, tensor]) => [rename(name), tensor])));
}

describe('a checkpoint', () => {
  it.each([
    [{ name: 'detection', head: 'fcos', width: 16, headLayers: 3 }, 7],
    [{ name: 'detection', head: 'retinanet', width: 16, headLayers: 2 }, 7],
    [{ name: 'detection', head: 'faster-rcnn', width: 16 }, 7],
    [{ name: 'instance-segmentation', head: 'mask-rcnn', width: 16 }, 7],
    [{ name: 'segmentation', head: 'fcn', width: 12, auxiliaryWeight: 0.5 }, 7],
    [{ name: 'segmentation', head: 'deeplabv3', width: 12 }, 7],
    [{ name: 'segmentation', head: 'lraspp', width: 12 }, 7],
  ])('of %j is recognised by its tensors, and can be imported', (task, classes) => {
    const path = join(folder.path, `${task.head}.safetensors`);
    const output = join(folder.path, `${task.head}-imported.safetensors`);
    save(path, modelOf(task, 'imagenet-resnet18', classes), (name) =>
      name
        .replace(/(inner|layer)_blocks\.(\d)\.0\./, '$1_blocks.$2.')
        .replace(/^rpn\.head\.conv\.0\.0\./, 'rpn.head.conv.')
        .replace(/mask_head\.(\d)\.0\./, (_, number: string) => `mask_head.mask_fcn${Number(number) + 1}.`),
    );
    expect(isTaskCheckpoint(path)).toBe(true);
    const result = importTaskWeights(path, { output });
    expect(result).toMatchObject({ model: 'imagenet-resnet18', classes, task });
    const fresh = modelOf(result.task, result.model, result.classes);
    const told = loadTaskWeights('a', fresh, { path: output, model: result.model, ordinal: 0, classes });
    expect(told).toContain('backbone and head');
    expect(told).not.toContain('afresh');
    expect(() => importTaskWeights(path, { output })).toThrow(
      'Name another file with --output, or add --force',
    );
  });

  it('of a classifier is none of these', () => {
    const path = join(folder.path, 'classifier.safetensors');
    const network = createNetwork('resnet8', { classes: 10, channels: 3, generator: new Generator(7) });
    saveTensors(path, network.stateDict());
    expect(isTaskCheckpoint(path)).toBe(false);
  });

  it('with another backbone or another head is refused, and nothing is written', () => {
    const output = join(folder.path, 'refused.safetensors');
    const task = { name: 'detection', head: 'fcos', width: 16, headLayers: 1 };
    const small = join(folder.path, 'small.safetensors');
    save(small, modelOf(task, 'resnet8', 3));
    expect(() => importTaskWeights(small, { output })).toThrow(
      /expected a backbone of imagenet-resnet18, .*got another one/s,
    );
    const odd = join(folder.path, 'odd.safetensors');
    save(odd, modelOf(task, 'imagenet-resnet18', 3), (name) => name.replace('extra_blocks', 'other_blocks'));
    expect(() => importTaskWeights(odd, { output })).toThrow(
      /none that fits backbone\.fpn\.extra_blocks.*_v2/s,
    );
    expect(existsSync(output)).toBe(false);
  });
});

const python = pythonWith('torch', 'torchvision');

/** Saves a published model with random weights and statistics, and what it gives for an image. */
const script = `
import sys, json, torch, torchvision
name, path, outputs = sys.argv[1:4]
torch.manual_seed(3)
torch.set_num_threads(1)
segments = hasattr(torchvision.models.segmentation, name)
kind = torchvision.models.segmentation if segments else torchvision.models.detection
arguments = dict(weights=None, weights_backbone=None, num_classes=6)
if name in ('fcn_resnet50', 'deeplabv3_resnet50'): arguments['aux_loss'] = True
model = getattr(kind, name)(**arguments).eval()
with torch.no_grad():
    for key, value in model.state_dict().items():
        if key.endswith('running_mean'): value.normal_(0, 0.1)
        elif key.endswith('running_var'): value.uniform_(0.8, 1.5)
    torch.save(model.state_dict(), path)
    image = (torch.arange(3 * 64 * 96) * 37 % 256).float().reshape(1, 3, 64, 96) / 255
    if segments:
        result = model(image)
        found = {'logits': result['out']}
        if 'aux' in result: found['auxiliary'] = result['aux']
    else:
        maps = model.backbone(image)
        features = list(maps.values())
        if hasattr(model, 'head'):
            result = model.head(features)
            found = {'logits': result['cls_logits'], 'shifts': result['bbox_regression']}
            if 'bbox_ctrness' in result: found['centerness'] = result['bbox_ctrness']
        else:
            objectness, shifts = model.rpn.head(features)
            flat = lambda maps, c: torch.cat([m.reshape(1, -1, c, *m.shape[2:]).permute(0, 3, 4, 1, 2).reshape(1, -1, c) for m in maps], 1)
            boxes = [torch.tensor([[4.0, 6.0, 60.0, 50.0], [10.0, 2.0, 30.0, 20.0], [0.0, 0.0, 96.0, 64.0]])]
            pooled = model.roi_heads.box_roi_pool(maps, boxes, [(64, 96)])
            scores, changes = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
            found = {'objectness': flat(objectness, 1), 'shifts': flat(shifts, 4), 'scores': scores, 'changes': changes}
            if model.roi_heads.mask_predictor is not None:
                pooled = model.roi_heads.mask_roi_pool(maps, boxes, [(64, 96)])
                found['masks'] = model.roi_heads.mask_predictor(model.roi_heads.mask_head(pooled))
import struct
with open(outputs, 'wb') as file:
    for key, value in found.items():
        data = value.contiguous().numpy().astype('<f4').tobytes()
        file.write(key.encode().ljust(16) + struct.pack('<q', len(data)) + data)
`;

function readOutputs(path: string): Map<string, Float32Array> {
  const bytes = readFileSync(path);
  const found = new Map<string, Float32Array>();
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigInt64LE(at + 16));
    const start = at + 24;
    found.set(
      bytes.toString('utf8', at, at + 16).trim(),
      new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + start + length)),
    );
    at = start + length;
  }
  return found;
}

/** The same outputs of ours. */
function ownOutputs(model: TaskModel<unknown>): Map<string, Float32Array> {
  return scope(() => {
    const values = Float32Array.from({ length: 3 * 64 * 96 }, (_, place) =>
      Math.fround(((place * 37) % 256) / 255),
    );
    const image = Tensor.fromTypedArray(values, [1, 3, 64, 96]);
    const found: Record<string, Tensor | null> = {};
    if (model instanceof Segmenter) {
      const { logits, auxiliary } = model.call(image);
      Object.assign(found, { logits, auxiliary });
    } else if (model instanceof Detector) {
      const { logits, shifts, centerness } = model.call(image);
      Object.assign(found, { logits, shifts, centerness });
    } else if (model instanceof Rcnn) {
      const output = model.call(image);
      const boxes = {
        boxes: Float32Array.from([4, 6, 60, 50, 10, 2, 30, 20, 0, 0, 96, 64]),
        images: [0, 0, 0],
      };
      const second = model.roiHeads.call({ levels: output.levels, boxes });
      const hasMasks = model.roiHeads.maskHead !== null;
      Object.assign(found, {
        objectness: output.objectness,
        shifts: output.shifts,
        scores: second.scores,
        changes: second.shifts,
        masks: hasMasks ? model.roiHeads.masks(output.levels, boxes) : null,
      });
    }
    return new Map(
      Object.entries(found).flatMap(([name, tensor]) =>
        tensor === null ? [] : [[name, Float32Array.from(tensor.contiguous().toNumbers())] as const],
      ),
    );
  });
}

describe.skipIf(python === null)('imported from torchvision (Debian: python3-torchvision)', () => {
  it.each([
    ['fcos_resnet50_fpn', 'detection', 'fcos', 6],
    ['retinanet_resnet50_fpn', 'detection', 'retinanet', 6],
    ['fasterrcnn_resnet50_fpn', 'detection', 'faster-rcnn', 5],
    ['maskrcnn_resnet50_fpn', 'instance-segmentation', 'mask-rcnn', 5],
    ['fcn_resnet50', 'segmentation', 'fcn', 6],
    ['deeplabv3_resnet50', 'segmentation', 'deeplabv3', 6],
    ['deeplabv3_mobilenet_v3_large', 'segmentation', 'deeplabv3', 6],
    ['lraspp_mobilenet_v3_large', 'segmentation', 'lraspp', 6],
  ])('%s computes what it computes there', (name, task, head, classes) => {
    const [path, values, output] = ['pth', 'bin', 'safetensors'].map((ending) =>
      join(folder.path, `${name}.${ending}`),
    );
    if (path === undefined || values === undefined || output === undefined) throw new Error('expected paths');
    execFileSync(python ?? '', ['-W', 'ignore', '-c', script, name, path, values]);
    const result = importTaskWeights(path, { output });
    const backbone = name.includes('mobilenet') ? 'imagenet-mobilenetv3-large' : 'imagenet-resnet50';
    expect(result).toMatchObject({ model: backbone, classes, task: { name: task, head } });
    const model = modelOf(result.task, result.model, classes).eval();
    loadTaskWeights('a', model, { path: output, model: result.model, ordinal: 0, classes });
    const expected = readOutputs(values);
    const own = ownOutputs(model);
    expect([...own.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [key, wanted] of expected) {
      expect(new Set(wanted).size, `different values of ${key}`).toBeGreaterThan(5);
      expect(relativeError(own.get(key), wanted), key).toBeLessThan(2e-4);
    }
    model.dispose();
    expect(loadTensors(output).metadata['cohort.model']).toBe(backbone);
    rmSync(path);
    rmSync(output);
  });

  it('of a version with another head is refused by name', () => {
    const path = join(folder.path, 'v2.pth');
    const code = `import torch, torchvision, sys; torch.save(torchvision.models.detection.retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=3).state_dict(), sys.argv[1])`;
    execFileSync(python ?? '', ['-W', 'ignore', '-c', code, path]);
    expect(() => importTaskWeights(path, { output: join(folder.path, 'v2.safetensors') })).toThrow('_v2');
  });
});

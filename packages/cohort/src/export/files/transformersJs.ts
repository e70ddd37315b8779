/**
 * The files that transformers.js reads along with the model: `config.json` and `preprocessor_config.json`. It knows neither of
 * our architectures, so that the names of a known classifier and of a plain image processor stand in them; what they say is
 * true all the same.
 */
import type { ExportedFile } from '../folder.ts';
import { jsonFile } from '../folder.ts';
import type { ExportManifest, Precision } from '../manifest.ts';

/** transformers.js' names of precisions, whose files have the names of `modelPaths`. */
export const dtypeNames: Readonly<Record<Precision, string>> = {
  float32: 'fp32',
  float16: 'fp16',
  int8: 'q8',
};

/** Lanczos in the numbers of Pillow, which transformers.js hands to sharp. */
const lanczos = 1;

/** Both files. */
export function transformersJsFiles(manifest: ExportManifest): ExportedFile[] {
  const { labels, input, preprocessing, models } = manifest;
  const { height, width } = input;
  const names = labels.map((label, index) => [String(index), label] as const);
  const [first] = models;
  const config = {
    model_type: 'resnet',
    architectures: ['ResNetForImageClassification'],
    num_labels: labels.length,
    id2label: Object.fromEntries(names),
    label2id: Object.fromEntries(labels.map((label, index) => [label, index])),
    num_channels: input.channels,
    image_size: height === width ? height : [height, width],
    'transformers.js_config': { dtype: dtypeNames[first?.precision ?? 'float32'] },
  };
  const isCut = preprocessing.resize.fit === 'cover';
  const processor = {
    image_processor_type: 'ViTImageProcessor',
    do_convert_rgb: true,
    do_resize: true,
    // With the shorter edge alone, proportions are kept.
    size: isCut ? { shortest_edge: Math.max(height, width) } : { height, width },
    resample: lanczos,
    do_center_crop: isCut,
    ...(isCut ? { crop_size: { height, width } } : {}),
    // The graph does both.
    do_rescale: false,
    do_normalize: false,
  };
  return [jsonFile('config.json', config), jsonFile('preprocessor_config.json', processor)];
}

/** Names that timm and transformers give to the architectures here, turned into torchvision's, which are ours. */

/** A rule: what a name looks like, and what it is called here. */
type Rule = readonly [pattern: RegExp, name: (...parts: string[]) => string];

const plus = (text: string | undefined, more: number): number => Number(text) + more;

/** transformers: an operation is a `convolution` and a `normalization`. */
const isNormalisation = (part: string | undefined): boolean => part === 'normalization';

/** Blocks of timm's MobileNetV2 by stage come one after the other in torchvision's. */
const mobileStages = [1, 2, 4, 7, 11, 14, 17];

/** The first block does not expand: its depthwise convolution is the first. */
const mobileParts: Readonly<Record<string, string | undefined>> = {
  conv_pw: 'conv.0.0',
  bn1: 'conv.0.1',
  conv_dw: 'conv.1.0',
  bn2: 'conv.1.1',
  conv_pwl: 'conv.2',
  bn3: 'conv.3',
};
const firstMobileParts: Readonly<Record<string, string | undefined>> = {
  conv_dw: 'conv.0.0',
  bn1: 'conv.0.1',
  conv_pw: 'conv.1',
  bn2: 'conv.2',
};

const rules: readonly Rule[] = [
  // transformers' ResNet.
  [
    /^embedder\.embedder\.(convolution|normalization)\.(.+)$/,
    (_, part, rest) => `${isNormalisation(part) ? 'bn1' : 'conv1'}.${rest}`,
  ],
  [
    /^encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.(convolution|normalization)\.(.+)$/,
    (_, stage, block, layer, part, rest) =>
      `layer${plus(stage, 1)}.${block}.${isNormalisation(part) ? 'bn' : 'conv'}${plus(layer, 1)}.${rest}`,
  ],
  [
    /^encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.(convolution|normalization)\.(.+)$/,
    (_, stage, block, part, rest) =>
      `layer${plus(stage, 1)}.${block}.downsample.${isNormalisation(part) ? 1 : 0}.${rest}`,
  ],
  // transformers' MobileNetV2.
  [
    /^conv_stem\.(first_conv|conv_3x3|reduce_1x1)\.(convolution|normalization)\.(.+)$/,
    (_, layer, part, rest) => {
      const last = isNormalisation(part) ? 1 : 0;
      if (layer === 'first_conv') return `features.0.${last}.${rest}`;
      return layer === 'conv_3x3'
        ? `features.1.conv.0.${last}.${rest}`
        : `features.1.conv.${1 + last}.${rest}`;
    },
  ],
  [
    /^layer\.(\d+)\.(expand_1x1|conv_3x3|reduce_1x1)\.(convolution|normalization)\.(.+)$/,
    (_, block, layer, part, rest) => {
      const last = isNormalisation(part) ? 1 : 0;
      const inner = `features.${plus(block, 2)}.conv`;
      if (layer === 'reduce_1x1') return `${inner}.${2 + last}.${rest}`;
      return `${inner}.${layer === 'expand_1x1' ? 0 : 1}.${last}.${rest}`;
    },
  ],
  [
    /^conv_1x1\.(convolution|normalization)\.(.+)$/,
    (_, part, rest) => `features.18.${isNormalisation(part) ? 1 : 0}.${rest}`,
  ],
  // timm's MobileNetV2.
  [/^conv_stem\.(weight)$/, (_, rest) => `features.0.0.${rest}`],
  [/^bn1\.(.+)$/, (_, rest) => `features.0.1.${rest}`],
  [/^conv_head\.(weight)$/, (_, rest) => `features.18.0.${rest}`],
  [/^bn2\.(.+)$/, (_, rest) => `features.18.1.${rest}`],
  [
    /^blocks\.([0-6])\.(\d+)\.(conv_pw|conv_dw|conv_pwl|bn[123])\.(.+)$/,
    (whole, stage, block, part, rest) => {
      const parts = stage === '0' ? firstMobileParts : mobileParts;
      const own = parts[part];
      return own === undefined
        ? whole
        : `features.${plus(block, mobileStages[Number(stage)] ?? 0)}.${own}.${rest}`;
    },
  ],
];

/** What a public name may be here: at most a few. */
export function publicNames(name: string): string[] {
  return rules.filter(([pattern]) => pattern.test(name)).map(([pattern, to]) => name.replace(pattern, to));
}

/** MobileNet V2 (Sandler et al., arXiv 1801.04381, table 2) for large images; torchvision's state dict loads as it is. */
import { defineArchitecture } from '../architecture.ts';
import { MobileNetV2 } from '../mobilenetV2.ts';
import type { NetworkOptions } from '../network.ts';

/** MobileNet V2 for images of about 224 by 224 pixels. */
export class ImagenetMobileNetV2 extends MobileNetV2 {
  constructor(options: NetworkOptions) {
    super(options, { stem: 2, stages: [2, 2, 2, 2] });
  }
}

/** For images of about 224 by 224 pixels. */
export const imagenetMobilenetV2 = defineArchitecture({
  name: 'imagenet-mobilenetv2',
  build: (options) => new ImagenetMobileNetV2(options),
  paper: 'arXiv 1801.04381',
  imageSize: 224,
});

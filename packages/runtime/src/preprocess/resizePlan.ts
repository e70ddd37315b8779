/** What a resize is made of: the box average that comes first, and the filter's weights along both axes. */
import type { PixelImage } from './image.ts';
import { axisWeights, type AxisWeights, type ResizeFilter } from './kernel.ts';

/** `fill` stretches to the size; `cover` keeps proportions and cuts off what stands out, evenly on both sides. */
export type ResizeFit = 'fill' | 'cover';

/** What to resize to. */
export interface ResizeOptions {
  readonly width: number;
  readonly height: number;
  /** `fill` unless given. */
  readonly fit?: ResizeFit;
  /** `lanczos3` unless given. */
  readonly filter?: ResizeFilter;
}

/** A resize in numbers. */
export interface ResizePlan {
  readonly width: number;
  readonly height: number;
  /** Pixels that are averaged first, across and down. */
  readonly shrinkX: number;
  readonly shrinkY: number;
  /** Weights from columns after the average to columns of the output. */
  readonly horizontal: AxisWeights;
  readonly vertical: AxisWeights;
}

/** The box average leaves at least this reduction to the filter, which then decides the quality. */
const LEFT_FOR_FILTER = 2;

/** Plans the resize of an image whose sizes were checked. */
export function planResize(image: PixelImage, options: ResizeOptions): ResizePlan {
  const { width, height, fit = 'fill', filter = 'lanczos3' } = options;
  const [scaleX, scaleY] = scales(image, width, height, fit);
  const shrinkX = boxFactor(scaleX);
  const shrinkY = boxFactor(scaleY);
  const horizontal = axisWeights(
    {
      inputs: Math.ceil(image.width / shrinkX),
      outputs: width,
      start: (image.width - width * scaleX) / 2 / shrinkX,
      scale: scaleX / shrinkX,
    },
    filter,
  );
  const vertical = axisWeights(
    {
      inputs: Math.ceil(image.height / shrinkY),
      outputs: height,
      start: (image.height - height * scaleY) / 2 / shrinkY,
      scale: scaleY / shrinkY,
    },
    filter,
  );
  return { width, height, shrinkX, shrinkY, horizontal, vertical };
}

/** Input pixels per output pixel, horizontally and vertically. */
function scales(image: PixelImage, width: number, height: number, fit: ResizeFit): [number, number] {
  const scaleX = image.width / width;
  const scaleY = image.height / height;
  const smaller = scaleX < scaleY ? scaleX : scaleY;
  return fit === 'cover' ? [smaller, smaller] : [scaleX, scaleY];
}

function boxFactor(scale: number): number {
  return Math.max(1, Math.floor(scale / LEFT_FOR_FILTER));
}

/**
 * The one resize of Cohort: antialiased and separable, in integers throughout, so that training, prediction, Node and every
 * browser compute the same bytes. Large reductions begin with a box average by a whole factor, as libvips does it.
 */
import { PreprocessError } from './errors.ts';
import { checkImage, checkSide, type PixelImage } from './image.ts';
import { resizeByKernels } from './resizeKernels.ts';
import { planResize, type ResizeOptions } from './resizePlan.ts';
import { resizeScalar } from './resizeScalar.ts';

export type { ResizeFit, ResizeOptions } from './resizePlan.ts';

/**
 * Resizes an image without alpha (see `flatten`). An image that has the size already is returned as it is.
 * @throws {PreprocessError} for sizes that are no whole numbers or disagree with the data
 */
export function resize(image: PixelImage, options: ResizeOptions): PixelImage {
  checkImage(image);
  const { width, height } = options;
  checkSide('width', width);
  checkSide('height', height);
  if (image.width === width && image.height === height) return image;
  if (image.channels === 2 || image.channels === 4) {
    throw new PreprocessError('it has alpha', 'Flatten it onto a background first.');
  }
  const plan = planResize(image, options);
  return resizeByKernels(image, plan) ?? resizeScalar(image, plan);
}

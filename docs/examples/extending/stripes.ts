/** A dataset that needs no files: grey images of 16 by 16 pixels with noisy stripes, whose direction is the class. */
import type { DatasetEntry, ImageSplit } from 'cohort-ml';

const shape = { channels: 1, height: 16, width: 16 };
const classes = ['horizontal', 'vertical', 'diagonal'];

/** Draws image `index`: stripes four pixels apart, shifted and with noise. */
function drawInto(pixels: Uint8Array, index: number, random: () => number): void {
  const shift = Math.floor(random() * 4);
  for (let place = 0; place < pixels.length; place += 1) {
    const [row, column] = [Math.floor(place / shape.width), place % shape.width];
    const across = [row, column, row + column][index % classes.length] ?? row;
    const isBright = (across + shift) % 4 < 2;
    pixels[place] = (isBright ? 170 : 30) + Math.floor(random() * 56);
  }
}

function makeSplit(count: number, seed: number): ImageSplit {
  const size = shape.channels * shape.height * shape.width;
  const images = new Uint8Array(count * size);
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes' generator
    return state / 2 ** 32;
  };
  for (let index = 0; index < count; index += 1) {
    drawInto(images.subarray(index * size, (index + 1) * size), index, random);
  }
  const labels = Uint8Array.from({ length: count }, (_, index) => index % classes.length);
  return { images, labels, count };
}

export const stripes: DatasetEntry = {
  name: 'stripes',
  load: () =>
    Promise.resolve({
      name: 'stripes',
      classes,
      ...shape,
      train: makeSplit(240, 1),
      test: makeSplit(60, 2),
    }),
};

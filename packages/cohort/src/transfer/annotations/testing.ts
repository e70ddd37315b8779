/** Test help: small pictures and annotation files of every form, made by formula. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encode } from 'fast-png';
import { encodeLabelMap } from './labelMap.ts';

/** Writes a file and the folders above it. */
export function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Writes a dark PNG with bright rectangles `x, y, width, height, brightness`. */
export function writePicture(
  path: string,
  [width, height]: readonly [number, number],
  rectangles: readonly (readonly [number, number, number, number, number])[] = [],
): void {
  const data = new Uint8Array(width * height * 3).fill(20);
  for (const [x, y, w, h, brightness] of rectangles) {
    for (let row = y; row < y + h; row += 1) {
      for (let column = x; column < x + w; column += 1) {
        data.fill(brightness, 3 * (row * width + column), 3 * (row * width + column) + 3);
      }
    }
  }
  write(path, encode({ width, height, data, channels: 3, depth: 8 }));
}

/** Writes a mask of class numbers. */
export function writeMask(path: string, width: number, height: number, labels: ArrayLike<number>): void {
  write(path, encodeLabelMap({ width, height, labels: Uint8Array.from(labels) }));
}

/** The XML of an image with objects `name, xmin, ymin, xmax, ymax`. */
export function vocXml(
  [width, height]: readonly [number, number],
  objects: readonly (readonly [string, number, number, number, number])[],
): string {
  const written = objects.map(
    ([name, xmin, ymin, xmax, ymax]) =>
      `<object><name>${name}</name><difficult>0</difficult><bndbox><xmin>${xmin}</xmin><ymin>${ymin}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax></bndbox></object>`,
  );
  return `<annotation><size><width>${width}</width><height>${height}</height><depth>3</depth></size>${written.join('')}</annotation>`;
}

/** A folder of VOC with an image and its XML per entry. */
export function writeVoc(
  root: string,
  images: Readonly<Record<string, string>>,
  lists: Readonly<Record<string, readonly string[]>>,
  size: readonly [number, number] = [40, 30],
): void {
  for (const [stem, xml] of Object.entries(images)) {
    writePicture(join(root, 'JPEGImages', `${stem}.png`), size);
    write(join(root, 'Annotations', `${stem}.xml`), xml);
  }
  for (const [name, stems] of Object.entries(lists)) {
    write(join(root, 'ImageSets/Main', `${name}.txt`), stems.join('\n'));
  }
}

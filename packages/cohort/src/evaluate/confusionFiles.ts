/** A confusion matrix as a file: CSV for spreadsheets and programs, SVG to look at. */
import { element, FAINT, INK, picture, text, widthOfText } from '../support/svg.ts';
import { csvText } from '../support/csv.ts';
import type { Confusion } from './confusion.ts';

/** Rows are the right classes, columns the predicted ones; the heading's first cell says so. */
export function confusionCsv({ classes, matrix }: Confusion): string {
  return csvText([
    ['actual \\ predicted', ...classes.map(({ name }) => name)],
    ...classes.map(({ name }, label) => [name, ...(matrix[label] ?? [])]),
  ]);
}

/** Above so many classes cells are too small for their numbers, and above so many for names. */
const MOST_NUMBERS = 40;
const MOST_NAMES = 150;

/** Longest name that is written in full. */
const LONGEST_NAME = 24;

/** A heat map: a cell is as dark as the share of the row's images in it; mistakes are red and the right ones blue. */
export function confusionSvg({ classes, matrix }: Confusion, title: string): string {
  const count = classes.length;
  const size =
    count <= 12 ? 44 : count <= MOST_NUMBERS ? 28 : count <= MOST_NAMES ? 12 : Math.max(1, 1200 / count);
  const hasNames = count <= MOST_NAMES;
  const names = classes.map(({ name }) =>
    name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name,
  );
  const fontSize = Math.min(12, Math.max(8, size - 2));
  const margin = hasNames ? 34 + Math.max(...names.map((name) => widthOfText(name))) * (fontSize / 12) : 34;
  const top = margin + 24;
  const parts = [
    text(margin, 18, title, { 'font-weight': 'bold' }),
    text(margin + (count * size) / 2, 38, 'predicted', { 'text-anchor': 'middle' }),
    element(
      'g',
      { transform: `translate(16 ${Math.round(top + (count * size) / 2)}) rotate(-90)` },
      text(0, 0, 'actual', { 'text-anchor': 'middle' }),
    ),
    element('rect', {
      x: margin,
      y: top,
      width: count * size,
      height: count * size,
      fill: 'none',
      stroke: FAINT,
    }),
  ];
  for (const [label, row] of matrix.entries()) {
    const total = Math.max(1, classes[label]?.images ?? 0);
    const y = top + label * size;
    for (const [chosen, images] of row.entries()) {
      if (images === 0) continue;
      const x = margin + chosen * size;
      const share = images / total;
      parts.push(
        element(
          'rect',
          {
            x,
            y,
            width: size,
            height: size,
            fill: label === chosen ? '#0072B2' : '#B2182B',
            'fill-opacity': 0.08 + 0.92 * share,
          },
          element(
            'title',
            {},
            titleText(
              `${classes[label]?.name ?? ''} → ${classes[chosen]?.name ?? ''}: ${images} of ${total} (${(100 * share).toFixed(1)}%)`,
            ),
          ),
        ),
      );
      if (count <= MOST_NUMBERS) {
        parts.push(
          text(x + size / 2, y + size / 2 + 4, String(images), {
            'text-anchor': 'middle',
            'font-size': Math.min(12, (size * 1.5) / String(images).length),
            fill: share > 0.5 ? '#FFFFFF' : INK,
          }),
        );
      }
    }
    if (!hasNames) continue;
    const name = names[label] ?? '';
    const middle = label * size + size / 2;
    parts.push(
      text(margin - 6, top + middle + 4, name, { 'text-anchor': 'end', 'font-size': fontSize }),
      element(
        'g',
        { transform: `translate(${(margin + middle + 4).toFixed(2)} ${top - 6}) rotate(-90)` },
        text(0, 0, name, { 'font-size': fontSize }),
      ),
    );
  }
  const width = Math.max(margin + count * size + 20, margin + widthOfText(title) + 20);
  return picture({ width, height: top + count * size + 20 }, title, parts);
}

function titleText(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

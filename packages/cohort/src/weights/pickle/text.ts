/** The two ways in which pickle protocol 0 writes text: Python 2's `repr` of a string, and raw-unicode-escape. */
import type { Refuses } from './globals.ts';

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['v', '\v'],
]);

/** `'it\'s\x00'` with its quotes, to the text it stands for: a character a byte. */
export function unescapePython2(line: string, context: Refuses): string {
  const quote = line.at(0);
  if (line.length < 2 || (quote !== "'" && quote !== '"') || !line.endsWith(quote)) {
    throw context.malformed('text in quotes', 'a line without');
  }
  return line
    .slice(1, -1)
    .replace(
      /\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))/gs,
      (whole, hex?: string, octal?: string, letter = '') => {
        if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
        if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
        // As Python does: an escape that means nothing stays as it is.
        return simpleEscapes.get(letter as string) ?? whole;
      },
    );
}

/** Latin-1 in which other characters are `\uXXXX` and `\UXXXXXXXX`. */
export function unescapeUnicode(line: string, context: Refuses): string {
  return line.replace(
    /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g,
    (_whole, short?: string, long?: string) => {
      const point = Number.parseInt(short ?? long ?? '', 16);
      if (point > 0x10ffff) throw context.malformed('a Unicode character', `\\U${long ?? ''}`);
      return String.fromCodePoint(point);
    },
  );
}

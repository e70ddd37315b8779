/** Text from outside (names of files, messages of libraries) that cannot change the colours or the cursor of a terminal. */

/** Control characters, but for tabs and line breaks, as `\u001b`. */
export function printable(text: string): string {
  return text.replaceAll(
    /[^\P{Cc}\t\n]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The same on one line: tabs and line breaks too. */
export function printableLine(text: string): string {
  return printable(text)
    .replaceAll('\t', String.raw`\t`)
    .replaceAll('\n', String.raw`\n`);
}

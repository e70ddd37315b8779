/** Finds the known name that a mistyped one was probably meant to be, for every "did you mean" in recipes and the command line. */

/** Case and separators are not typing errors worth counting: `learning_rate` is `learningRate`. */
function normalise(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/**
 * Damerau-Levenshtein distance (optimal string alignment): the fewest insertions, deletions, replacements and swaps of
 * neighbours that turn `left` into `right`.
 */
export function editDistance(left: string, right: string): number {
  const leftLetters = Array.from(left);
  const rightLetters = Array.from(right);
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: rightLetters.length + 1 }, (_, column) => column);
  for (const [row, leftLetter] of leftLetters.entries()) {
    const current = [row + 1];
    for (const [column, rightLetter] of rightLetters.entries()) {
      const replaced = (previous[column] ?? 0) + (leftLetter === rightLetter ? 0 : 1);
      let best = Math.min(replaced, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1);
      const isSwap =
        row > 0 &&
        column > 0 &&
        leftLetter === rightLetters[column - 1] &&
        leftLetters[row - 1] === rightLetter;
      if (isSwap) best = Math.min(best, (beforePrevious[column - 1] ?? 0) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous.at(-1) ?? 0;
}

/** The candidate nearest to `name`, or null when none is near enough to be what was meant. */
export function nearestName(name: string, candidates: readonly string[]): string | null {
  const plain = normalise(name);
  if (plain === '') return null;
  let nearest: string | null = null;
  let nearestDistance = Infinity;
  for (const candidate of candidates) {
    const plainCandidate = normalise(candidate);
    const allowed = Math.max(1, Math.floor(Math.max(plain.length, plainCandidate.length) / 3));
    // A beginning of three letters or more (`batch` for `batchSize`) counts as just within reach.
    const isBeginning = plain.length >= 3 && plainCandidate.startsWith(plain);
    const distance = Math.min(editDistance(plain, plainCandidate), isBeginning ? allowed : Infinity);
    if (distance <= allowed && distance < nearestDistance && distance < plain.length) {
      [nearest, nearestDistance] = [candidate, distance];
    }
  }
  return nearest;
}

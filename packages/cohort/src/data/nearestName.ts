/** Finds the known name that a mistyped one was probably meant to be, for error messages. */

/** The candidate nearest to `name` by edit distance, or undefined when none is near enough to be a typing error. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const plain = normalise(name);
  let nearest: string | undefined;
  let nearestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = editDistance(plain, normalise(candidate));
    if (distance < nearestDistance) [nearest, nearestDistance] = [candidate, distance];
  }
  if (nearest === undefined) return undefined;
  return nearestDistance <= Math.max(1, Math.floor(nearest.length / 3)) ? nearest : undefined;
}

/** Case and separators are what people get wrong most: `FashionMNIST` is `fashion-mnist`. */
function normalise(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/** Levenshtein distance, one row at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (const [row, leftLetter] of Array.from(left).entries()) {
    const current = [row + 1];
    for (const [column, rightLetter] of Array.from(right).entries()) {
      const replaced = (previous[column] ?? 0) + (leftLetter === rightLetter ? 0 : 1);
      current.push(Math.min(replaced, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}

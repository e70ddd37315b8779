/** Lookups that must succeed: a missing value is a bug, and an error here names it before it turns into a wrong number. */

/**
 * The item at a place of a list.
 *
 * @param what the list holds, for the message: `the heads of the stages`
 * @throws {RangeError} where the list has no such place
 */
export function at<Item>(list: ArrayLike<Item>, index: number, what = 'the list'): Item {
  const item = list[index];
  if (item === undefined) {
    throw new RangeError(
      `There is no item ${index} in ${what}, which has ${list.length}. This is a bug in Cohort; please report it.`,
    );
  }
  return item;
}

/**
 * The last item of a list.
 *
 * @throws {RangeError} for an empty list
 */
export function lastOf<Item>(list: ArrayLike<Item>, what?: string): Item {
  return at(list, list.length - 1, what);
}

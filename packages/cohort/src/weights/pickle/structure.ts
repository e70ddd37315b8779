/** Checks that a value can be walked: nothing contains itself, and nesting ends long before a call stack does. */
import { PickledObject, type PickleValue } from './values.ts';

/** Deeper than any data file nests, and shallow enough for recursive code. */
const deepest = 200;

type Container = PickleValue[] | Map<PickleValue, PickleValue> | PickledObject;

function isContainer(value: PickleValue): value is Container {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

function containersIn(value: Container): Container[] {
  if (Array.isArray(value)) return value.filter(isContainer);
  if (value instanceof Map) return [...value.keys(), ...value.values()].filter(isContainer);
  return value.parts.filter(isContainer);
}

/**
 * Throws what `fail` makes of the trouble when a value contains itself or is nested more than 200 deep. Every object is
 * looked at once, however often it occurs, and no recursion is needed.
 */
export function assertPlainTree(root: PickleValue, fail: (received: string) => Error): void {
  if (!isContainer(root)) return;
  /** Levels below and including an object, of all that were left behind. */
  const heights = new Map<Container, number>();
  const open = new Set<Container>([root]);
  const path = [{ value: root, inside: containersIn(root), next: 0, height: 1 }];
  for (;;) {
    const frame = path.at(-1);
    if (frame === undefined) return;
    const child = frame.inside[frame.next];
    if (child === undefined) {
      path.pop();
      open.delete(frame.value);
      heights.set(frame.value, frame.height);
      const parent = path.at(-1);
      if (parent !== undefined) parent.height = Math.max(parent.height, frame.height + 1);
      continue;
    }
    frame.next += 1;
    if (open.has(child)) throw fail('an object that contains itself');
    const height = heights.get(child);
    if (path.length + (height ?? 1) > deepest) throw fail(`data nested more than ${deepest} deep`);
    if (height !== undefined) frame.height = Math.max(frame.height, height + 1);
    else {
      open.add(child);
      path.push({ value: child, inside: containersIn(child), next: 0, height: 1 });
    }
  }
}

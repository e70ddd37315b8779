/** A list of named facts; those without a value are left out. */
import type { JSX } from 'preact';

/** Name and value; an empty value leaves the fact out. */
export type Fact = readonly [name: string, value: string];

/** The list. */
export function Facts({ facts }: { facts: readonly Fact[] }): JSX.Element {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A plain table that scrolls sideways on a narrow screen: columns of text, then columns of numbers. */
import type { ComponentChildren, JSX } from 'preact';

interface TableProps {
  /** What it shows, for screen readers: `Accuracy table`. */
  readonly label: string;
  /** Headings of the columns of text. */
  readonly text: readonly string[];
  /** Headings of the columns of numbers, which are aligned to the right. */
  readonly numbers: readonly string[];
  /** Its rows. */
  readonly children: ComponentChildren;
}

/** The table. */
export function Table({ label, text, numbers, children }: TableProps): JSX.Element {
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label={`${label}, scrollable`}>
      <table class="plain">
        <thead>
          <tr>
            {text.map((heading) => (
              <th key={heading} scope="col">
                {heading}
              </th>
            ))}
            {numbers.map((heading, index) => (
              <th key={`${heading} ${index}`} scope="col" class="number">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** The list beside the picture: a name with its colour on each line, and a call when a line is pointed at or focused. */
import { createElement } from './results.ts';

/** One line. */
export interface LegendEntry {
  readonly label: string;
  readonly share: string;
  /** A colour of CSS. */
  readonly colour: string;
}

export class Legend {
  readonly #container: HTMLElement;
  readonly #heading: HTMLElement;
  readonly #list: HTMLElement;
  readonly #highlight: (place: number | null) => void;

  /** @param highlight is called with the place of a line that is pointed at or focused, and with null when none is */
  constructor(container: HTMLElement, highlight: (place: number | null) => void) {
    this.#container = container;
    this.#highlight = highlight;
    const card = createElement('article', 'network legend');
    this.#heading = createElement('h2', '');
    this.#list = createElement('ul', '');
    card.append(this.#heading, this.#list);
    container.replaceChildren(card);
  }

  /** Lines of an earlier answer are kept, so that the focus stays where it is. */
  show(heading: string, entries: readonly LegendEntry[]): void {
    this.#heading.textContent = heading;
    while (this.#list.children.length > entries.length) this.#list.lastElementChild?.remove();
    for (const [place, { label, share, colour }] of entries.entries()) {
      const button = this.#list.children[place]?.firstElementChild ?? this.#add(place);
      const [swatch, name, amount] = button.children;
      if (swatch instanceof HTMLElement) swatch.style.setProperty('--swatch', colour);
      if (name) name.textContent = label;
      if (amount) amount.textContent = share;
    }
  }

  dispose(): void {
    this.#container.replaceChildren();
  }

  #add(place: number): HTMLElement {
    const item = createElement('li', '');
    const button = createElement('button', 'entry');
    button.type = 'button';
    const swatch = createElement('span', 'swatch');
    swatch.setAttribute('aria-hidden', 'true');
    button.append(swatch, createElement('span', 'label'), createElement('span', 'share'));
    for (const event of ['pointerenter', 'focus']) {
      button.addEventListener(event, () => {
        this.#highlight(place);
      });
    }
    for (const event of ['pointerleave', 'blur']) {
      button.addEventListener(event, () => {
        this.#highlight(null);
      });
    }
    item.append(button);
    this.#list.append(item);
    return button;
  }
}
